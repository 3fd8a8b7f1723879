"""What the service may cost to import."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("heavy", ["polars", "pandas", "exchange_calendars"])
def test_the_command_starts_without(heavy: str) -> None:
    """An extra that is not installed breaks nothing but its own command; and what is installed is not dragged in."""
    program = (
        f"import sys; sys.modules[{heavy!r}] = None\nimport tickstockpl.cli\nassert sys.modules[{heavy!r}] is None\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
