"""HTTP: who is answered, with which headers, and what a stranger cannot take: connections, time, memory, our log."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import orjson
import pytest
import structlog
from pydantic import SecretStr

from tickstockpl.errors import ServerError, SettingsError
from tickstockpl.metrics import Metrics
from tickstockpl.settings import HttpSettings
from tickstockpl.web import Answer, Answers, Limits, Query, access, bears, is_own_host, json_answer, serving
from waiting import until

pytestmark = pytest.mark.anyio

TOKEN = "correct-horse-battery-staple"
BEARER = f"Authorization: Bearer {TOKEN}"
LARGE = b"x" * 20_000_000
PATIENT = Limits(request_s=3600)


def fail(_: Query) -> NoReturn:
    raise RuntimeError("the words of this error are for the log")


ANSWERS: Answers = {
    "/ok": lambda _: json_answer({"fine": True}),
    "/echo": lambda query: json_answer(dict(query)),
    "/large": lambda _: Answer(LARGE, content_type="text/plain"),
    "/broken": fail,
}


class Site:
    """What is served beside a test, and what a client gets from it."""

    def __init__(self, port: int, metrics: Metrics) -> None:
        self.port = port
        self._metrics = metrics

    def refused(self, reason: str) -> float:
        return self._metrics.registry.get_sample_value("tickstockpl_http_refused_total", {"reason": reason}) or 0.0

    async def connect(self, sent: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 26)
        writer.write(sent)
        return reader, writer

    async def raw(self, sent: bytes) -> bytes:
        """All that comes back until the connection is closed."""
        reader, writer = await self.connect(sent)
        try:
            async with asyncio.timeout(20):
                return await reader.read()
        finally:
            writer.close()

    async def ask(
        self, path: str, *headers: str, method: str = "GET", body: str = ""
    ) -> tuple[int, dict[str, str], Any]:
        """Status, headers (small names) and what is read of the body."""
        lines = [f"{method} {path} HTTP/1.1", *headers]
        if not any(header.startswith("Host:") for header in headers):
            lines.append(f"Host: 127.0.0.1:{self.port}")
        head, _, said = (await self.raw("\r\n".join([*lines, "", body]).encode())).partition(b"\r\n\r\n")
        status, *given = head.decode().split("\r\n")
        named = dict(line.split(": ", 1) for line in given)
        return (
            int(status.split()[1]),
            {name.lower(): value for name, value in named.items()},
            orjson.loads(said or b"0"),
        )


@asynccontextmanager
async def site(
    limits: Limits | None = None, answers: Answers = ANSWERS, *, host: str = "127.0.0.1", token: str | None = None
) -> AsyncIterator[Site]:
    metrics = Metrics()
    http = HttpSettings(host=host, port=0, token=None if token is None else SecretStr(token))
    async with serving(http, answers, metrics, limits) as port:
        yield Site(port, metrics)


@pytest.mark.parametrize(
    ("path", "method", "sent", "status"),
    [
        ("/ok", "GET", (), 200),
        ("/ok?time=1", "GET", (), 200),
        ("/ok", "HEAD", (), 200),
        ("/ok", "OPTIONS", ("Origin: http://evil", "Access-Control-Request-Method: GET"), 405),
        ("/ok", "POST", (), 405),
        ("/ok", "DELETE", (), 405),
        ("/ok", "BREW", (), 400),
        ("/ok", "GET", ("Content-Length: 2",), 413),
        ("/ok", "GET", ("Expect: 200-maybe",), 200),
        ("/ok", "GET", ("Upgrade: websocket", "Connection: upgrade"), 200),
        ("/broken", "GET", (), 500),
        ("/", "GET", (), 404),
        ("/ok/", "GET", (), 404),
        ("/../ok", "GET", (), 404),
        ("/ok%00", "GET", (), 404),
        ("/nothing", "POST", (), 404),
        ("/ok", "GET", ("Host: evil.example",), 421),
        ("/ok", "GET", (f"Cookie: {'x' * 10_000}",), 400),
        ("/ok", "GET", ("no header",), 400),
        (f"/{'x' * 10_000}", "GET", (), 400),
    ],
)
async def test_every_answer_has_the_same_guards_and_a_body_of_json(
    path: str, method: str, sent: tuple[str, ...], status: int
) -> None:
    body = "{}" if "Content-Length: 2" in sent else ""
    async with site() as served:
        found, headers, said = await served.ask(path, "Origin: http://evil", *sent, method=method, body=body)
    assert found == status
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["server"] == "tickstockpl"
    assert headers["content-type"] == "application/json"
    assert headers.get("connection") == ("close" if status != 400 else None)  # the answer to nonsense is HTTP/1.0
    assert not [name for name in headers if name.startswith("access-control")]
    assert headers.get("allow") == ("GET, HEAD" if status == 405 else None)
    assert said == 0 if method == "HEAD" else (said == {"fine": True} if status == 200 else set(said) == {"error"})


async def test_an_answer_is_told_what_stands_behind_the_question_mark() -> None:
    async with site() as served:
        assert (await served.ask("/echo?symbol=BRK.B,AAPL&limit=%31&none=&symbol=SPY"))[2] == {
            "symbol": "BRK.B,AAPL,SPY",
            "limit": "1",
            "none": "",
        }
        assert (await served.ask("/echo"))[2] == {}


async def test_one_connection_is_one_answer() -> None:
    async with site() as served:
        said = await served.raw(b"GET /ok HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
    assert said.count(b"HTTP/1.1 200") == 1


async def test_a_client_of_http_1_0_without_a_host_is_answered() -> None:
    async with site() as served:
        assert (await served.raw(b"GET /ok HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.0 200")


@pytest.mark.parametrize(
    ("host", "own", "ours"),
    [
        ("localhost", "127.0.0.1", True),
        ("LOCALHOST:8080", "127.0.0.1", True),
        ("127.0.0.1:8080", "localhost", True),
        ("[::1]:8080", "127.0.0.1", True),
        ("127.0.0.9", "127.0.0.9", True),
        ("evil.example:8080", "127.0.0.1", False),
        ("localhost.evil.example", "127.0.0.1", False),
        ("127.0.0.1.evil.example", "127.0.0.1", False),
        ("evil@127.0.0.1", "127.0.0.1", False),
        ("10.0.0.1", "127.0.0.1", False),
        ("[::1", "127.0.0.1", False),
        ("127.0.0.1:80:80", "127.0.0.1", False),
        ("", "127.0.0.1", False),
    ],
)
def test_a_host_is_ours_by_a_loopback_address_or_the_name_that_is_set(host: str, own: str, ours: bool) -> None:
    assert is_own_host(host, own) is ours


@pytest.mark.parametrize(
    ("header", "right"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer  {TOKEN} ", True),
        (f"Basic {TOKEN}", False),
        (TOKEN, False),
        ("Bearer", False),
        ("Bearer ", False),
        (f"Bearer {TOKEN[:-1]}", False),
        (f"Bearer {TOKEN}x", False),
        (f"Bearer {TOKEN.upper()}", False),
        ("Bearer \udcff", False),
        ("", False),
    ],
)
def test_only_the_whole_token_opens(header: str, right: bool) -> None:
    assert bears(header, TOKEN) is right


async def test_with_a_token_nothing_is_told_without_it_not_even_which_paths_there_are() -> None:
    async with site(token=TOKEN) as served:
        for path in ("/ok", "/nothing", "/broken"):
            for wrong in ((), ("Authorization: Bearer wrong",), (f"Authorization: Basic {TOKEN}",)):
                status, headers, said = await served.ask(path, *wrong)
                assert (status, headers["www-authenticate"], set(said)) == (401, "Bearer", {"error"})
                assert TOKEN not in str(headers) + str(said)
        assert served.refused("token") == 9
        assert (await served.ask("/ok", BEARER))[::2] == (200, {"fine": True})
        assert (await served.ask("/nothing", BEARER))[0] == 404


async def test_who_bears_the_token_may_come_by_any_name() -> None:
    async with site(token=TOKEN) as served:
        assert (await served.ask("/ok", BEARER, "Host: ticks.example"))[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.5", "ticks.example"])
def test_an_address_that_others_reach_needs_a_token(host: str) -> None:
    with pytest.raises(SettingsError, match=r"^http\.host is .*set TICKSTOCKPL_HTTP__TOKEN") as caught:
        access(HttpSettings(host=host))
    assert caught.value.exit_code == 2
    assert "has the token" in access(HttpSettings(host=host, token=SecretStr(TOKEN)))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_an_address_of_this_machine_needs_none(host: str) -> None:
    assert access(HttpSettings(host=host)) == "this machine only"
    assert access(HttpSettings(host=host, token=SecretStr(TOKEN))) == "this machine only, with the token"


async def test_an_open_address_is_said_at_the_start_and_one_without_a_token_is_never_served() -> None:
    with structlog.testing.capture_logs() as lines:
        async with site(host="0.0.0.0", token=TOKEN) as served:
            assert (await served.ask("/ok"))[0] == 401
            assert (await served.ask("/ok", BEARER))[0] == 200
    assert lines[0]["event"] == "http can be reached from outside and asks for its token"
    assert TOKEN not in str(lines)
    with pytest.raises(SettingsError):
        async with site(host="0.0.0.0"):
            pass


@pytest.mark.parametrize("sent", [b"", b"G", b"GET /ok HTTP/1.1\r\n", b"GET /ok HTTP/1.1\r\nHost: localhost\r\nA: b"])
async def test_who_does_not_finish_the_request_in_time_is_cut_off(sent: bytes) -> None:
    async with site(Limits(request_s=0.1)) as served:
        reader, writer = await served.connect(sent)
        assert await reader.read() == b""
        writer.close()
        assert served.refused("slow") == 1


async def test_a_body_that_never_comes_is_not_waited_for() -> None:
    async with site(PATIENT) as served:
        said = await served.raw(b"POST /ok HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
    assert b" 405 " in said.splitlines()[0]


async def test_who_does_not_read_the_answer_is_cut_off() -> None:
    async with site(Limits(request_s=0.3)) as served:
        reader, writer = await served.connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: served.refused("slow") == 1)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await reader.read()) < len(LARGE)
        writer.close()


async def test_a_large_answer_that_is_read_arrives_whole() -> None:
    async with site() as served:
        said = await served.raw(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert said.endswith(LARGE)


async def test_one_connection_too_many_ends_the_oldest_and_is_answered() -> None:
    async with site(Limits(connections=3, request_s=3600)) as served:
        crowd = [await served.connect(b"GET /ok HTTP/1.1\r\n") for _ in range(3)]
        assert (await served.ask("/ok"))[0] == 200
        assert served.refused("crowded") == 1
        assert await crowd[0][0].read() == b""
        for reader, writer in crowd[1:]:
            writer.write(b"Host: localhost\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
        for _, writer in crowd:
            writer.close()


async def test_headers_of_too_many_bytes_are_cut_off() -> None:
    async with site(PATIENT) as served:
        long = b"A: " + b"x" * 8000 + b"\r\n"
        with contextlib.suppress(ConnectionError):
            assert await served.raw(b"GET /ok HTTP/1.1\r\nHost: localhost\r\n" + long * 3) == b""
        assert served.refused("too_large") == 1


async def test_a_body_is_refused_before_much_of_it_is_read() -> None:
    async with site(PATIENT) as served:
        head = b"POST /ok HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n"
        with contextlib.suppress(ConnectionError):  # it may come to an answer first, or not
            await served.raw(head + b"x" * 1_000_000)
        assert served.refused("too_large") + served.refused("method") >= 1
        assert (await served.ask("/ok"))[0] == 200


async def test_nonsense_is_counted_and_the_log_gets_a_line_at_the_1st_10th_and_100th(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "aiohttp")
    async with site() as served:
        with structlog.testing.capture_logs() as lines:
            for _ in range(100):
                assert (await served.raw(b"\x16\x03\x01\x02\x00\r\n\r\n")).startswith(b"HTTP/1.0 400")
        assert served.refused("malformed") == 100
    assert [(line["event"], line["reason"], line["count"]) for line in lines] == [
        ("http refused", "malformed", count) for count in (1, 10, 100)
    ]
    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []


async def test_a_fault_of_ours_is_in_the_log_and_not_in_the_answer() -> None:
    async with site() as served:
        with structlog.testing.capture_logs() as lines:
            status, _, said = await served.ask("/broken")
    assert (status, "words of this error" in str(said)) == (500, False)
    assert [line["event"] for line in lines] == ["http answer failed"]
    assert "words of this error" in str(lines[0]["exc_info"])


async def test_those_who_say_nothing_do_not_hold_up_a_stop() -> None:
    silent = []
    async with site(PATIENT) as served:
        silent = [
            await served.connect(sent) for sent in (b"", b"GET ", b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        ]
        silent[-1][1].transport.pause_reading()  # type: ignore[attr-defined]
        assert (await served.ask("/ok"))[0] == 200
        began = time.monotonic()
    assert time.monotonic() - began < 3
    for _, writer in silent:
        writer.close()


async def test_a_taken_port_is_named_with_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=rf"port {port} on 127\.0\.0\.1 .* TICKSTOCKPL_HTTP__PORT") as raised:
            async with serving(HttpSettings(port=port), ANSWERS, Metrics()):
                pass
    assert raised.value.exit_code == 2
