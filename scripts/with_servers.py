"""Run a command with TICKSTOCKPL_TEST_DATABASE_URI and TICKSTOCKPL_TEST_REDIS_URL set.

The servers are those that the environment names, else those that `make servers-up` left running, else fresh ones,
which are stopped and deleted when the command has ended, however it ended. With --fresh they are fresh in any case.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

NAMES = ("TICKSTOCKPL_TEST_DATABASE_URI", "TICKSTOCKPL_TEST_REDIS_URL")
ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".run" / "servers"


def timescale_up(*words: str | Path) -> dict[str, str]:
    """Return the URLs that scripts/timescale_up.sh prints, by variable name; its own errors go to standard error.

    words: its arguments, see there.
    """
    command = ["bash", ROOT / "scripts" / "timescale_up.sh", *words]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return dict(line.removeprefix("export ").split("=", 1) for line in done.stdout.splitlines())


def run(command: list[str], *, fresh_ones: bool = False) -> int:
    """Return the command's exit code, as a shell would tell it."""
    named = {name: os.environ[name] for name in NAMES if os.environ.get(name) and not fresh_ones}
    needed = len(named) < len(NAMES) and os.environ.get("TICKSTOCKPL_TEST_WITHOUT_SERVERS") != "1"
    found = timescale_up("urls", KEPT) if needed and KEPT.exists() and not fresh_ones else {}
    fresh = None
    # From here on the end of the command is the only end: whatever stops us stops it first, and then the servers.
    child: subprocess.Popen[bytes] | None = None
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate() if child else sys.exit(143))
    try:
        if needed and len(found) < len(NAMES):
            fresh = KEPT.with_name(f"test-{os.getpid()}")
            found = timescale_up("up", fresh)
        child = subprocess.Popen(command, env={**os.environ, **found, **named})
        code = child.wait()
    finally:
        if fresh is not None:
            timescale_up("down", fresh, "--purge")
            shutil.rmtree(fresh, ignore_errors=True)  # empty, where the data had to be elsewhere
    return code if code >= 0 else 128 - code


def main() -> int:
    parser = argparse.ArgumentParser(usage="%(prog)s [-h] [--fresh] COMMAND [WORD...]", description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="start servers whatever is named or running")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="what to run, with its own words")
    given = parser.parse_args()
    command: list[str] = given.command
    if not command:
        parser.error("name the command to run, such as: with_servers.py pytest -k late")
    if shutil.which(command[0]) is None:
        parser.error(f"there is no program called {command[0]}")
    try:
        return run(command, fresh_ones=given.fresh)
    except subprocess.CalledProcessError as error:
        print(f"the test servers did not start (timescale_up.sh ended with {error.returncode})", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
