"""Servers of one test's own, from the same private folder as the session's: what a fault test may do to them."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "timescale_up.sh"


@dataclass(slots=True)
class OwnServer:
    """One server process: `pid_file` names it, its port stays the same over restarts."""

    folder: Path
    pid_file: str
    port: str = ""

    @property
    def pid(self) -> int:
        """The server's first process; the file's first word."""
        return int((self.folder / self.pid_file).read_text().split()[0])

    def kill(self) -> None:
        """End it and its children with SIGKILL, and return when they are gone."""
        self._send(signal.SIGKILL)
        deadline = time.monotonic() + 10
        while self._family(self.pid):
            assert time.monotonic() < deadline, f"process {self.pid} survived SIGKILL"
            time.sleep(0.01)

    def freeze(self) -> None:
        """Stop it with SIGSTOP: connections stay open and nothing answers."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        self._send(signal.SIGCONT)

    def restart(self) -> None:
        """Start it again on its port, after `kill`; what it had on disk is there, Redis has nothing."""
        postgres = self.pid_file.startswith("pg/")
        timescale_up("up", self.folder, self.port if postgres else "-", "-" if postgres else self.port)

    def _send(self, how: signal.Signals) -> None:
        for pid in self._family(self.pid):
            with suppress(ProcessLookupError):  # a worker of PostgreSQL's that has ended meanwhile
                os.kill(pid, how)

    def _family(self, first: int) -> list[int]:
        """`first` and its children, those not already zombies."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, parent = stat.read_text().rpartition(") ")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
            pid = int(stat.parent.name)
            if state != "Z" and first in (pid, int(parent)):
                found.append(pid)
        return found


class OwnServers:
    """A Redis, a PostgreSQL or both in `folder`; `redis_url` and `database_uri` are the ones asked for."""

    def __init__(self, folder: Path, *, redis: bool, postgres: bool) -> None:
        assert redis or postgres
        self._folder = folder
        self._wanted = (postgres, redis)
        self.redis = OwnServer(folder, "redis.pid")
        self.postgres = OwnServer(folder, "pg/postmaster.pid")
        self.redis_url = self.database_uri = ""

    def start(self) -> None:
        """Start what was asked for, on free ports; about 1.5 s for PostgreSQL, 0.1 s for Redis."""
        postgres, redis = self._wanted
        urls = timescale_up("up", self._folder, "" if postgres else "-", "" if redis else "-")
        self.database_uri = urls.get("TICKSTOCKPL_TEST_DATABASE_URI", "")
        self.redis_url = urls.get("TICKSTOCKPL_TEST_REDIS_URL", "")
        if postgres:
            self.postgres.port = (self._folder / "pg/postmaster.pid").read_text().split("\n")[3]
        if redis:
            self.redis.port = (self._folder / "redis.port").read_text().strip()

    def stop(self) -> None:
        """End what still runs, frozen or not, and delete its files."""
        for server in (self.redis, self.postgres):
            if (self._folder / server.pid_file).exists():
                server.thaw()
        timescale_up("down", self._folder, "--purge")


@contextmanager
def lent(*, redis: bool = False, postgres: bool = False) -> Iterator[OwnServers]:
    """Servers in a new folder, from their start until they are stopped and deleted."""
    # /var/tmp, since root's pytest folders are hidden from the user that PostgreSQL runs as
    folder = Path(tempfile.mkdtemp(prefix="tickstockpl-test-", dir="/var/tmp"))
    folder.chmod(0o755)
    servers = OwnServers(folder, redis=redis, postgres=postgres)
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)


def timescale_up(*words: str | Path) -> dict[str, str]:
    """Return the URLs that scripts/timescale_up.sh prints, by variable name."""
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(["bash", SCRIPT, *words], stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return dict(line.removeprefix("export ").split("=", 1) for line in done.stdout.splitlines())
