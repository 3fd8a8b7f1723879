"""What an attacker may cost in memory: measured in a process of its own, printed, and held to a bound.

`pytest tests/fault/test_exhaustion.py -s` shows the numbers.
"""

import contextlib
import json
import os
import resource
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parent.parent / "exhausting.py"
CROWD = 3000
FILES = CROWD + 500
"""That may be open: a socket of each, beside what a process has open anyhow."""

pytestmark = pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak is measured where Linux lets it be reset"
)
Record = Callable[[str, object], None]


def held(attack: str, outcome: dict[str, Any], growth_mib: int, record: Record) -> None:
    """Print what was measured, and hold it to the bound."""
    before, peak = (outcome.pop(f"{name}_kb") / 1024 for name in ("before", "peak"))
    told = ", ".join(
        f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}" for name, value in outcome.items()
    )
    said = f"{before:.1f} MiB resident before, {peak:.1f} at the peak, at most {growth_mib} more are allowed: {told}"
    sys.stdout.write(f"\n{attack}: {said}\n")
    record(attack, said)
    assert peak - before <= growth_mib, said


@pytest.mark.parametrize(
    ("attack", "growth_mib", "outcome"),
    [
        ("symbols", 8, {"sent": 1_000_000, "taken": 0, "refused": 1_000_000}),
        ("giants", 8, {"sent": 4000, "taken": 2000, "refused": 2000}),
        ("nests", 8, {"sent": 1200, "taken": 0, "refused": 1200}),
        ("arrays", 48, {"sent": 251_010, "taken": 251_000, "refused": 10}),
        ("monster", 64, {"sent": 1, "taken": 0, "refused": 0, "cause": "a message is longer than 32 MiB"}),
    ],
)
def test_what_redis_brings_costs_bounded_memory(
    attack: str, growth_mib: int, outcome: dict[str, Any], record_property: Record
) -> None:
    done = subprocess.run([sys.executable, PROGRAM, attack], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    held(attack, found, growth_mib, record_property)
    assert found == {"symbols": 20_000, "cause": None} | outcome


def asked(port: int) -> float:
    """Seconds until an honest request was answered."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        said = b"".join(iter(lambda: client.recv(65536), b""))
    assert said.startswith(b"HTTP/1.1 200"), said
    return time.monotonic() - began


@pytest.fixture
def many_files() -> Iterator[None]:
    """The soft limit of many systems is 1,024; the server, which is our child, has ours."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        pytest.skip(f"no more than {hard} files may be open here, and {FILES} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_slow_clients_cost_bounded_memory_and_keep_nobody_out(record_property: Record) -> None:
    """A slow-loris: thousands of connections send a header byte by byte, and honest requests come between them."""
    command = [sys.executable, str(PROGRAM), "slow"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as served,
        contextlib.ExitStack() as sockets,
        selectors.DefaultSelector() as ended,
    ):
        assert served.stdin is not None
        assert served.stdout is not None
        port = int(served.stdout.readline())
        crowd: list[socket.socket] = []
        waits = [asked(port)]
        for n in range(CROWD):
            slow = sockets.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            slow.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            ended.register(slow, selectors.EVENT_READ)
            crowd.append(slow)
            if n % 100 == 0:
                for other in crowd:
                    with contextlib.suppress(ConnectionError):
                        other.sendall(b"x")
                waits.append(asked(port))
                crowd = crowd[-200:]
        deadline = time.monotonic() + 20
        while ended.get_map():  # until the server has ended every one of them
            assert time.monotonic() < deadline, len(ended.get_map())
            for key, _ in ended.select(timeout=1):
                with contextlib.suppress(ConnectionError):
                    assert key.fileobj.recv(1) == b""  # type: ignore[union-attr]
                ended.unregister(key.fileobj)
        waits.append(asked(port))
        served.stdin.close()
        found = json.loads(served.stdout.readline())
    found["slowest answer, ms"] = round(max(waits) * 1000)
    held("slow clients", found, 16, record_property)
    assert found["crowded"] + found["slow"] == CROWD
    assert found["slow"] > 0
    assert max(waits) < 1
