"""HTTP: a few answers, for those who may have them, in bounded time and memory.

A connection is one request and its answer. aiohttp parses and writes them; by itself it would take any number of
connections, and wait for ever for a client that does not read.
"""

import asyncio
import errno
import hmac
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import orjson
import structlog
from aiohttp import web

from tickstockpl.dsn import is_loopback
from tickstockpl.errors import ServerError, SettingsError
from tickstockpl.metrics import Metrics
from tickstockpl.settings import HttpSettings

log = structlog.get_logger(__name__)

CLOSE_S = 0.5
"""A client that does not read its answer must not hold up a stop."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "tickstockpl",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer. None of CORS: no page of another origin may read one."""

REFUSALS = {
    "body": (413, "send no body"),
    "host": (421, "ask by an address of this machine, such as 127.0.0.1, or set a token"),
    "malformed": (400, "this is no HTTP request, or its lines are too long"),
    "method": (405, "only GET and HEAD"),
    "path": (404, "there is no such path"),
    "token": (401, "send the header Authorization: Bearer TOKEN"),
}
MORE = {"method": {"Allow": "GET, HEAD"}, "token": {"WWW-Authenticate": "Bearer"}}

_HOST = re.compile(r"(?:\[([^\[\]]*)\]|([^\[\]:]*))(?::[0-9]*)?")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a path says."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"


Query = Mapping[str, str]
"""What stands behind the path's question mark, by name; of a name that is there twice both, with a comma between."""

Answers = Mapping[str, Callable[[Query], Answer]]
"""By path."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What strangers may take: connections at once, seconds and bytes each."""

    connections: int = 64
    """One more, and the oldest is cut off: an honest request is answered within milliseconds."""
    request_s: float = 10.0
    """From the connection's first moment until the answer has been taken."""
    request_bytes: int = 16_384


def json_answer(body: Mapping[str, Any], status: int = 200) -> Answer:
    """The same as JSON."""
    return Answer(orjson.dumps(body), status)


def access(http: HttpSettings) -> str:
    """Who may ask, for people.

    Raises SettingsError if anybody could.
    """
    if http.is_local:
        return "this machine only" + (", with the token" if http.token else "")
    if http.token is None:
        raise SettingsError(
            f"http.host is {http.host!r}, which other machines can reach: set TICKSTOCKPL_HTTP__TOKEN, or better "
            "TICKSTOCKPL_HTTP__TOKEN_FILE, to a secret that requests must bear, or TICKSTOCKPL_HTTP__HOST to 127.0.0.1"
        )
    return "everyone who reaches it and has the token"


@asynccontextmanager
async def serving(
    http: HttpSettings, answers: Answers, metrics: Metrics, limits: Limits | None = None
) -> AsyncIterator[int]:
    """Give the answers for as long as the block lasts; gives the port (of 0, the one taken).

    Raises SettingsError if anybody could ask, ServerError if the port cannot be had.
    """
    access(http)
    gate = Gate(http, answers, metrics, limits or Limits())
    server = web.Server(gate.answer)
    runner = web.ServerRunner(server, shutdown_timeout=CLOSE_S)
    try:
        listening = await asyncio.get_running_loop().create_server(lambda: Visit(server, gate), http.host, http.port)
    except OSError as error:
        raise ServerError(
            f"port {http.port} on {http.host} cannot be had ({error.strerror or error}): {_advice(error)}"
        ) from None
    await runner.setup()
    try:
        port = int(listening.sockets[0].getsockname()[1])
        if not http.is_local:
            log.warning("http can be reached from outside and asks for its token", host=http.host, port=port)
        yield port
    finally:
        listening.close()
        await runner.cleanup()
        gate.close()


class Gate:
    """Who comes in, how many at once and for how long, and what they are told."""

    def __init__(self, http: HttpSettings, answers: Answers, metrics: Metrics, limits: Limits) -> None:
        self.limits = limits
        self._http = http
        self._answers = answers
        self._metrics = metrics
        self._refused: Counter[str] = Counter()
        self._open: dict[Visit, tuple[asyncio.Transport, asyncio.TimerHandle]] = {}
        """The oldest first."""

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, visit: "Visit", transport: asyncio.Transport) -> None:
        """Let a connection in, for so long."""
        if len(self._open) >= self.limits.connections:
            self.cut(next(iter(self._open)), "crowded")
        timer = asyncio.get_running_loop().call_later(self.limits.request_s, self.cut, visit, "slow")
        self._open[visit] = (transport, timer)

    def leave(self, visit: "Visit") -> None:
        """Forget a connection that has ended."""
        if visit in self._open:
            self._open.pop(visit)[1].cancel()

    def cut(self, visit: "Visit", reason: str) -> None:
        """End a connection without an answer; what it has not read is thrown away."""
        if visit not in self._open:
            return
        transport, timer = self._open.pop(visit)
        timer.cancel()
        self._count(reason, transport.get_extra_info("peername", (None,))[0])
        transport.abort()

    def close(self) -> None:
        """End the connections of those who still have not read their answer."""
        for transport, timer in self._open.values():
            timer.cancel()
            transport.abort()
        self._open.clear()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """What the request gets."""
        reason = self._objection(request)
        if reason is not None:
            return self.refuse(reason, request.remote)
        asked = {name: ",".join(request.query.getall(name)) for name in request.query}
        said = self._answers[request.path](asked)
        return _response(said, {})

    def refuse(self, reason: str, who: str | None) -> web.Response:
        """The answer that is none."""
        self._count(reason, who)
        status, advice = REFUSALS[reason]
        return _response(json_answer({"error": advice}, status), MORE.get(reason, {}))

    def _objection(self, request: web.BaseRequest) -> str | None:
        """The first of REFUSALS that applies; without the token nothing is told, not even which paths there are."""
        token = self._http.token
        if token is not None:
            if not bears(request.headers.get("Authorization", ""), token.get_secret_value()):
                return "token"
        elif not all(is_own_host(host, self._http.host) for host in request.headers.getall("Host", [])):
            return "host"
        if request.path not in self._answers:
            return "path"
        if request.method not in {"GET", "HEAD"}:
            return "method"
        return "body" if request.body_exists else None

    def _count(self, reason: str, who: str | None) -> None:
        self._metrics.http_refused.labels(reason).inc()
        self._refused[reason] += 1
        count = self._refused[reason]
        if count == 10 ** (len(str(count)) - 1):
            log.warning("http refused", reason=reason, count=count, who=who)


class Visit(web.RequestHandler):
    """One connection: its request's bytes are counted, and its end is the gate's business."""

    __slots__ = ("_gate", "_received_bytes")

    def __init__(self, server: web.Server, gate: Gate) -> None:
        # Its own timer spares who does not read, and its lingering would read what a client goes on sending.
        unlogged: dict[str, Any] = {"access_log": None}
        super().__init__(server, loop=asyncio.get_running_loop(), keepalive_timeout=0, lingering_time=0, **unlogged)
        self._gate = gate
        self._received_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._gate.enter(self, cast("asyncio.Transport", transport))
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._gate.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._received_bytes += len(data)
        if self._received_bytes > self._gate.limits.request_bytes:
            self._gate.cut(self, "too_large")
        else:
            super().data_received(data)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer where there is no request or no answer; aiohttp's own logs a traceback for all nonsense sent."""
        if status == 400:
            return self._gate.refuse("malformed", request.remote)
        log.error("http answer failed", exc_info=exc)
        return _response(json_answer({"error": "this is a fault of ours: see the log"}, status), {})


def bears(authorization: str, token: str) -> bool:
    """Whether the header's value is `Bearer` and the token, in a time that does not tell how much of it is right."""
    scheme, _, given = authorization.partition(" ")
    right = hmac.compare_digest(given.strip().encode(errors="surrogateescape"), token.encode())
    return right and scheme.lower() == "bearer"


def is_own_host(host: str, own: str) -> bool:
    """Whether the header `Host` names this machine, as `own` or a loopback address, with any port.

    A browser that has been led here by a foreign name (DNS rebinding) sends that name.
    """
    match = _HOST.fullmatch(host)
    name = (match[1] or match[2] or "").lower() if match else ""
    return is_loopback(name) or name == own.lower()


def _response(answer: Answer, more: Mapping[str, str]) -> web.Response:
    headers = {**HEADERS, "Content-Type": answer.content_type, **more}
    response = web.Response(body=answer.body, status=answer.status, headers=headers)
    response.force_close()
    return response


def _advice(error: OSError) -> str:
    """What to do if a port cannot be had; asyncio gives no number where an address is not this machine's."""
    if isinstance(error, socket.gaierror) or error.errno in {errno.EADDRNOTAVAIL, None}:
        return "set TICKSTOCKPL_HTTP__HOST to an address of this machine"
    return "set TICKSTOCKPL_HTTP__PORT to a free one"
