"""Keeps an embedded Redis and PostgreSQL until its standard input ends: `keeper.py REDIS_SERVER PGINSTALL`.

A program of its own, started by `servers.py`; the standard library only, so that it is up at once. It prints one line:
{"folder": ...}, where the two sockets are, or {"error": ...}.
"""

import contextlib
import ctypes
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

START_WITHIN_S = 60
STOP_WITHIN_S = 10


class StartError(Exception):
    """A server did not come up; the message is its own last words."""


def as_user() -> dict[str, Any]:
    """Who PostgreSQL runs as, in Popen's words: it refuses to be root."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


def reachable(install: Path) -> Path:
    """`install`, or, where root's own folders hide it from nobody, a copy that nobody can run, made once."""
    if os.geteuid() or subprocess.call(["test", "-x", install / "bin/postgres"], cwd="/", **as_user()) == 0:
        return install
    package = install.parent
    copy = Path("/var/cache/tickstockpl", "pg-" + hashlib.sha256(str(install).encode()).hexdigest()[:12])
    if not copy.exists():
        copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=copy.parent))
        for name in (f"{package.name}/{install.name}", f"{package.name}.libs"):  # auditwheel's, found through $ORIGIN
            if (package.parent / name).exists():
                shutil.copytree(package.parent / name, part / name, symlinks=True)
        part.chmod(0o755)
        with contextlib.suppress(FileExistsError):  # another keeper was first
            part.rename(copy)
        shutil.rmtree(part, ignore_errors=True)
    return copy / package.name / install.name


def dies_with_us(how: signal.Signals) -> Callable[[], None] | None:
    """What a child does before it starts, so that the kernel sends it `how` when this process ends by SIGKILL."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, set_death_signal = ctypes.CDLL(None).prctl, 1
    return lambda: prctl(set_death_signal, int(how))


@contextlib.contextmanager
def running(
    command: list[str | Path], log: Path, how: signal.Signals, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """One server, told to stop with `how` at the end, killed if it does not."""
    with log.open("wb") as out:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd="/",
            preexec_fn=dies_with_us(how),  # noqa: PLW1509 - this process has one thread
            **options,
        )
    try:
        yield server
    finally:
        server.send_signal(how)
        try:
            server.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_for(sign: Callable[[], bool], server: subprocess.Popen[bytes], log: Path) -> None:
    """Return once `sign` holds; StartError if the server ends or takes too long."""
    deadline = time.monotonic() + START_WITHIN_S
    while not sign():
        if server.poll() is not None or time.monotonic() > deadline:
            raise StartError(" / ".join(log.read_text(errors="replace").splitlines()[-3:]) or "it said nothing")
        time.sleep(0.01)


def initdb(install: Path, data: Path) -> None:
    """Make an empty cluster; StartError with initdb's words if it cannot."""
    options = ["-U", "postgres", "-A", "trust", "--locale=C", "-E", "UTF8", "--no-sync", "--no-instructions"]
    command: list[str | Path] = [install / "bin/initdb", "-D", data, *options]
    try:
        subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, cwd="/", **as_user()
        )
    except subprocess.CalledProcessError as error:
        raise StartError(" / ".join(error.stderr.splitlines()[-3:])) from error


def keep(redis: Path, install: Path) -> None:
    """Run both servers until standard input ends, then leave nothing of them behind."""
    # A short path: a socket's has 107 bytes. Nobody else can look into it: mkdtemp's mode is 0700.
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="tspl-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
        socket, redis_log = folder / "redis.sock", folder / "redis.log"
        command: list[str | Path] = [redis, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
        redis_server = stack.enter_context(running(command, redis_log, signal.SIGTERM))
        install = reachable(install)
        data, postgres_log = folder / "pg", folder / "pg.log"
        initdb(install, data)
        command = [
            install / "bin/postgres",
            "-D",
            data,
            "-h",
            "",
            "-k",
            folder,
            "-c",
            "fsync=off",
            "-c",
            "timezone=UTC",
        ]
        postgres_server = stack.enter_context(running(command, postgres_log, signal.SIGINT, **as_user()))
        wait_for(socket.exists, redis_server, redis_log)
        # The last line of the pid file says so; the socket alone is there before the server can answer.
        pid_file = data / "postmaster.pid"
        wait_for(lambda: pid_file.exists() and "ready" in pid_file.read_text(), postgres_server, postgres_log)
        print(json.dumps({"folder": str(folder)}), flush=True)
        sys.stdin.read()


def main() -> None:
    """SIGTERM ends it as the end of its input does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        keep(Path(sys.argv[1]), Path(sys.argv[2]))
    except (StartError, OSError, LookupError) as error:
        print(json.dumps({"error": str(error)}), flush=True)


if __name__ == "__main__":
    main()
