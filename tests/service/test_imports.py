"""What the command and the service may cost to import."""

import subprocess
import sys

import pytest

COMMANDS = (
    "service",
    "check",
    "tap",
    "migrate",
    "rights",
    "upkeep",
    "survey",
    "calibrate",
    "catalogue",
    "dev.demo",
    "dev.simulate",
    "dev.replay",
)


def imported_without(heavy: str, modules: str) -> None:
    program = f"import sys; sys.modules[{heavy!r}] = None\nimport {modules}\nassert sys.modules[{heavy!r}] is None\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("heavy", ["polars", "pandas", "exchange_calendars"])
def test_every_command_starts_without(heavy: str) -> None:
    """An extra that is not installed breaks nothing but its own command; and what is installed is not dragged in."""
    imported_without(heavy, ", ".join(f"tickstockpl.{name}" for name in ("cli", *COMMANDS)))


@pytest.mark.parametrize("heavy", ["aiohttp", "asyncpg", "alembic"])
def test_a_command_imports_nothing_that_only_another_one_needs(heavy: str) -> None:
    imported_without(heavy, "tickstockpl.__main__")
