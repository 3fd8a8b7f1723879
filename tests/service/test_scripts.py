"""The scripts: `--help` for a person who looks around, exit code 2 and a reason for a mistake, never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def script(name: str, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The script from another folder, with nobody at its standard input."""
    program = "bash" if name.endswith(".sh") else sys.executable
    return subprocess.run(
        [program, SCRIPTS / name, *words],
        cwd="/",
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", sorted(file.name for file in SCRIPTS.iterdir() if file.suffix in {".py", ".sh"}))
def test_help_names_the_script_and_does_nothing(name: str) -> None:
    done = script(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert name in done.stdout


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("with_servers.py", (), "name the command to run"),
        ("with_servers.py", ("--verbose", "true"), "--verbose"),
        ("with_servers.py", ("no-such-program", "-x"), "there is no program called no-such-program"),
        ("candle_parity.py", ("--bars", "many"), "--bars: invalid float value: 'many'"),
        ("candle_parity.py", ("--bars", "nan"), "--bars: must be more than 0, was nan"),
        ("test_live_integration.py", (), "nobody is there to answer questions: use --auto"),
        ("test_live_integration.py", ("--auto", "--config", "nothing.toml"), "nothing.toml is not a file"),
        ("test_live_integration.py", ("--auto", "--watch", "nan"), "--watch: must be at least 0, was nan"),
        ("timescale_up.sh", ("start", "servers"), "up, urls or down DATA_DIR, not start"),
        ("timescale_up.sh", ("up", "servers", "54x2"), "up does not take 54x2"),
        ("timescale_up.sh", ("down", "servers", "--purg"), "down does not take --purg"),
        ("timescale_up.sh", ("up",), "timescale_up.sh up   DATA_DIR"),
    ],
)
def test_a_mistake_ends_with_its_reason_and_exit_code_2(name: str, words: tuple[str, ...], said: str) -> None:
    done = script(name, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_parity_without_ta_lib_says_what_to_install(tmp_path: Path) -> None:
    blocker = tmp_path / "sitecustomize.py"
    blocker.write_text("import sys; sys.modules['talib'] = None")
    done = script("candle_parity.py", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "ta-lib is not installed: pip install ta-lib" in done.stderr
