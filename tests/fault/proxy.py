"""A TCP proxy that breaks on request: what toxiproxy does, in one file and without a binary."""

import asyncio
import socket
import ssl
import struct
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class FaultProxy:
    """Stands before `host:port`; clients connect to `port` of this object, or to `unix_path` if there is one.

    Healthy at first. `black_hole` keeps every connection open and passes nothing on, as a cable pulled out does; what
    was sent meanwhile arrives after `heal`. `reset` ends every connection with RST. `refuse` closes the port too.
    """

    def __init__(
        self, host: str, port: int, *, unix_path: str | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.latency_s = 0.0
        self.connections = 0
        """How many there have been."""
        self.broken = 0
        """How many of them ended with an error."""
        self.port = 0
        self._target = (host, port)
        self._unix_path = unix_path
        self._tls = tls
        self._passing = asyncio.Event()
        self._passing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.refuse()

    async def accept(self) -> None:
        """Listen, on the same port as before if there was one."""
        if self._unix_path is not None:
            self._server = await asyncio.start_unix_server(self._serve, self._unix_path)
            return
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Close the port and every connection; heals a black hole."""
        self.heal()
        if self._server is not None:
            self._server.close()
        self.reset()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None
        while self._writers:
            await asyncio.sleep(0)

    def reset(self) -> None:
        """End every connection with RST."""
        for writer in list(self._writers):
            peer: socket.socket | None = writer.get_extra_info("socket")
            if peer is not None and peer.family != socket.AF_UNIX and peer.fileno() >= 0:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def black_hole(self) -> None:
        """Pass nothing on, in either direction, on old connections and new ones."""
        self._passing.clear()

    def heal(self) -> None:
        """Pass everything on again."""
        self._passing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        far_writer: asyncio.StreamWriter | None = None
        try:
            await self._passing.wait()
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            self._writers.add(far_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, far_writer))
                both.create_task(self._pump(far_reader, writer))
        except* OSError:
            self.broken += 1
        finally:
            for open_writer in (writer, far_writer):
                if open_writer is not None:
                    open_writer.transport.abort()
                    self._writers.discard(open_writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(1 << 16):
            if self.latency_s:
                await asyncio.sleep(self.latency_s)
            await self._passing.wait()
            writer.write(chunk)
            await writer.drain()
        writer.close()


def through(proxy: FaultProxy, url: str) -> str:
    """The address with the proxy in place of its server."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{proxy.port}"))
