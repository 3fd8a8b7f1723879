"""The command: help with examples, one line and exit code 2 for a person's mistake, never a traceback."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from commands import Done, Run, said_once
from conftest import execute
from tickstockpl.check import Finding
from tickstockpl.migrate import migrate

COMMANDS = (
    "run",
    "demo",
    "check",
    "migrate",
    "rights",
    "tap",
    "gaps",
    "repair",
    "retain",
    "patterns",
    "scan",
    "calibrate",
    "simulate",
    "replay",
)
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


def as_process(*words: str, **environ: str) -> Done:
    """`python -m tickstockpl`, as a person starts it."""
    done = subprocess.run(
        [sys.executable, "-m", "tickstockpl", *words],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_commands_help_shows_an_example(command: Run, name: str) -> None:
    done = command(name, "--help")
    assert done.returncode == 0
    assert f"tickstockpl {name}" in done.stdout.partition("Example:")[2]


def test_a_warning_of_check_is_shown_as_one_and_does_not_fail(command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def looked(_: object) -> AsyncIterator[Finding]:
        yield Finding("names", True, "all is well")
        yield Finding("tls", True, "in the clear", warning=True)

    monkeypatch.setattr("tickstockpl.check.findings", looked)
    done = command("check")
    assert done.returncode == 0
    assert done.stdout.endswith("ok   names: all is well\nwarn tls: in the clear\n")


def test_rights_are_those_of_the_settings_and_of_the_server_named(command: Run) -> None:
    both = command("rights", "--name", "me", TICKSTOCKPL_REDIS__CHANNELS="my.ticks", DATABASE_URI="postgresql://h/mine")
    assert (both.returncode, both.stderr) == (0, "")
    rule, *sql = both.stdout.splitlines()
    assert rule.startswith("ACL SETUSER me on ")
    assert " &my.ticks " in rule
    assert "GRANT CONNECT, TEMPORARY ON DATABASE mine TO me;" in sql
    assert command("rights", "redis").stdout.startswith("ACL SETUSER tickstockpl on ")
    assert command("rights", "postgres").stdout.startswith("CREATE ROLE tickstockpl LOGIN;\n")
    tap = command("rights", "tap", TICKSTOCKPL_TAP__SUFFIX=".kept").stdout
    assert tap.startswith("ACL SETUSER tickstockpl-tap on ")
    assert " ~data.raw.kept " in tap
    assert "has neither spaces nor quotes" in said_once(command("rights", "--name", "a b"))


def test_the_version_is_that_of_the_package(command: Run) -> None:
    assert command("--version") == Done(0, f"tickstockpl {version('tickstockpl')}\n", "")


def test_the_module_is_the_command_and_a_mistake_is_one_line_there_too() -> None:
    assert "DATABASE_URI is not set" in said_once(as_process("run"))
    script = Path(sys.executable).with_name("tickstockpl")
    assert not script.exists() or "tickstockpl.__main__" in script.read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nope",), "No such command 'nope'."),
        (("run", "--nope"), "No such option: --nope"),
        (("run", "--config"), "Option '--config' requires an argument."),
        (("simulate", "--symbols", "0"), "Invalid value for '--symbols': Input should be greater than or equal to 1"),
        (("replay",), "Missing argument 'files'."),
    ],
)
def test_words_that_are_no_command_of_ours_get_one_line(command: Run, words: tuple[str, ...], said: str) -> None:
    assert said_once(command(*words)) == said


def test_no_words_at_all_get_the_help(command: Run) -> None:
    done = command()
    assert (done.returncode, done.stderr) == (2, "")
    assert "tickstockpl demo" in done.stdout


@pytest.mark.parametrize("words", [("check",), ("migrate",), ("simulate", "--forget")])
def test_the_first_ctrl_c_ends_what_has_nothing_to_drain(words: tuple[str, ...], state_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(40)
        port = silent.getsockname()[1]
        given = {
            "DATABASE_URI": f"postgresql://nobody@127.0.0.1:{port}/none",
            "REDIS_URL": f"redis://127.0.0.1:{port}/0",
            "TICKSTOCKPL_REDIS__CONNECT_TIMEOUT_S": "60",
            "TICKSTOCKPL_STATE_DIR": str(state_dir),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tickstockpl", *words],
            env={**os.environ, **given},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                with silent.accept()[0]:  # it waits for an answer now
                    process.send_signal(signal.SIGINT)
                    _, said = process.communicate(timeout=10)
            finally:
                process.kill()
    assert (process.returncode, said) == (130, "")


def test_run_without_a_database_points_to_the_demo(command: Run) -> None:
    line = said_once(command("run"))
    assert "DATABASE_URI is not set" in line
    assert "tickstockpl demo" in line


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"TICKSTOCKPL_BARS__WINDOW": "many"}, ("TICKSTOCKPL_BARS__WINDOW",)),
        ({"TICKSTOCKPL_BARS__LATENESS_A_S": "61"}, ("TICKSTOCKPL_BARS__LATENESS_A_S", "60")),
        ({"MARKET_TIMEZONE": "Mars/Olympus"}, ("MARKET_TIMEZONE", "time zone")),
        ({"DATABASE_URI": "mysql://nobody@nowhere/none"}, ("DATABASE_URI", "postgresql://")),
        ({"REDIS_URL": "nonsense"}, ("REDIS_URL", "redis://")),
    ],
)
def test_a_wrong_value_is_named_with_its_setting(command: Run, environ: dict[str, str], words: tuple[str, ...]) -> None:
    line = said_once(command("run", **{"DATABASE_URI": NOWHERE} | environ))
    assert all(word in line for word in words), line


def test_a_wrong_name_in_the_file_is_named_with_what_it_may_have_meant(command: Run, tmp_path: Path) -> None:
    (tmp_path / "tickstockpl.toml").write_text("[bars]\nwindwo = 100\n")
    line = said_once(command("run", DATABASE_URI=NOWHERE))
    assert "bars.windwo" in line
    assert "bars.window" in line


def test_a_config_file_that_is_not_there_is_named(command: Run) -> None:
    assert "other.toml is not a file" in said_once(command("check", "--config", "other.toml"))


@pytest.mark.parametrize("name", ["run", "migrate", "gaps", "retain"])
def test_a_database_that_cannot_be_reached_is_named_without_its_password(command: Run, name: str) -> None:
    done = command(name, DATABASE_URI="postgresql://me:hidden@127.0.0.1:1/none", REDIS_URL="redis://127.0.0.1:1/0")
    line = said_once(done)
    assert "postgresql://me:***@127.0.0.1:1/none cannot be used" in line


def test_run_says_which_redis_it_uses_when_nobody_named_one(command: Run) -> None:
    first, *_ = command("run", DATABASE_URI=NOWHERE).stderr.splitlines()
    assert first == "tickstockpl: nobody named a Redis, using redis://localhost:6379"


def test_run_on_an_empty_database_asks_for_a_migration(command: Run, database: str) -> None:
    line = said_once(command("run", DATABASE_URI=database, REDIS_URL="redis://127.0.0.1:1/0"))
    assert "run `tickstockpl migrate` first" in line


def test_migrate_says_what_a_plain_table_lacks(command: Run, database: str) -> None:
    execute(database, "DROP EXTENSION timescaledb")
    said = command("migrate", DATABASE_URI=database).stdout
    assert said == (
        "migrated; ohlcv_1min is a plain table; `tickstockpl migrate --convert` makes it a hypertable, "
        "after CREATE EXTENSION timescaledb in this database\n"
    )
    execute(database, "CREATE EXTENSION timescaledb")
    said = command("migrate", "--convert", DATABASE_URI=database).stdout
    assert said == "migrated; ohlcv_1min is a hypertable\n"


def test_migrate_makes_the_database_ready_and_then_has_nothing_to_do(command: Run, database: str) -> None:
    first, second = (command("migrate", DATABASE_URI=database) for _ in range(2))
    assert (first.returncode, first.stdout) == (0, "migrated; ohlcv_1min is a hypertable\n")
    assert (second.returncode, second.stdout) == (0, "nothing to do; ohlcv_1min is a hypertable\n")


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("TICKSTOCKPL_PATTERNS__ENABLED", "doji,hamer", ("patterns.enabled", "hamer", "hammer")),
        ("TICKSTOCKPL_PATTERNS__ENABLED", "doji,cdl_*", ("doji and cdl_doji", "Doji", "patterns.same_names")),
        ("TICKSTOCKPL_SESSION__CALENDAR", "XMARS", ("XMARS", "TICKSTOCKPL_SESSION__CALENDAR")),
    ],
)
def test_patterns_that_are_not_there_or_share_a_name_and_calendars_are_named(
    command: Run, database: str, setting: str, value: str, words: tuple[str, ...]
) -> None:
    asyncio.run(migrate(database))
    done = command("run", DATABASE_URI=database, REDIS_URL="redis://127.0.0.1:1/0", **{setting: value})
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert all(word in line for word in words), line
    assert "Traceback" not in done.stderr


def test_a_taken_health_port_is_named_with_its_setting(command: Run, database: str) -> None:
    asyncio.run(migrate(database))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        environ = {"TICKSTOCKPL_HTTP__PORT": port, "REDIS_URL": "redis://127.0.0.1:1/0", "DATABASE_URI": database}
        done = command("run", **environ)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert line.startswith(f"tickstockpl: port {port} on 127.0.0.1")
    assert "TICKSTOCKPL_HTTP__PORT" in line


def test_a_health_address_that_is_not_ours_is_named_with_its_setting(command: Run) -> None:
    environ = {"TICKSTOCKPL_HTTP__HOST": "192.0.2.1", "TICKSTOCKPL_HTTP__TOKEN": "x" * 16}
    line = said_once(command("run", REDIS_URL="redis://127.0.0.1:1/0", DATABASE_URI=NOWHERE, **environ))
    assert line.startswith("port 0 on 192.0.2.1 cannot be had")
    assert line.endswith("set TICKSTOCKPL_HTTP__HOST to an address of this machine")


def test_an_address_that_others_reach_is_not_served_without_a_token(command: Run) -> None:
    environ = {"TICKSTOCKPL_HTTP__HOST": "0.0.0.0", "REDIS_URL": "redis://127.0.0.1:1/0", "DATABASE_URI": NOWHERE}
    line = said_once(command("run", **environ))
    assert line.startswith("http.host is '0.0.0.0', which other machines can reach: set TICKSTOCKPL_HTTP__TOKEN, or ")
    done = command("check", **environ)
    assert (done.returncode, f"FAIL http: {line}\n" in done.stdout) == (2, True)


@pytest.mark.parametrize("start", ["nan", "inf"])
def test_a_simulation_that_starts_at_no_time_is_refused(command: Run, start: str) -> None:
    assert said_once(command("simulate", "--start", start)) == f"--start must be epoch seconds, was {start}"


def test_a_file_that_cannot_be_written_is_named_before_anything_is_sent(command: Run, redis: str) -> None:
    channel = f"data.raw.{uuid.uuid4().hex}"
    words = ("simulate", "--url", redis, "--channel", channel, "--speed", "0", "--minutes", "1")
    line = said_once(command(*words, "--truth", "nowhere/true.csv"))
    assert line == "the true bars cannot be written to nowhere/true.csv: No such file or directory"


def test_a_replays_mistakes_get_one_line_each(command: Run, tmp_path: Path) -> None:
    pytest.importorskip("polars", reason="reading files needs the extra [replay]")
    back = tmp_path / "back.csv"
    back.write_text("symbol,timestamp,price,size\nA,1757600462,1.5,2\nA,1757600461,1.5,2\n")
    empty = tmp_path / "empty.csv"
    empty.write_text("symbol,timestamp,price,size\n")
    mistakes: list[tuple[tuple[str, ...], str]] = [
        (("nothing.csv",), "cannot be read"),
        (("notes.md",), "must end in .parquet or .csv"),
        ((str(back),), "is not sorted"),
        ((str(empty),), "no rows to play"),
        ((str(back), "--url", "nonsense"), "--url must begin with redis://"),
    ]
    for words, said in mistakes:
        assert said in said_once(command("replay", *words)), words


def test_replay_and_simulate_name_a_redis_that_is_not_there(command: Run, tmp_path: Path) -> None:
    good = tmp_path / "good.csv"
    good.write_text("symbol,timestamp,price,size\nA,1757600461,1.5,2\n")
    for words in (("replay", str(good)), ("simulate", "--yes", "--speed", "0")):
        done = command(*words, "--url", "redis://127.0.0.1:1/0")
        assert done.returncode == 2, done
        assert "tickstockpl: cannot" in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr


def test_simulate_deletes_what_simulations_left_and_nothing_else(command: Run, database: str, redis: str) -> None:
    given = {"DATABASE_URI": database, "REDIS_URL": redis}
    assert command("migrate", **given).returncode == 0
    bar = "INSERT INTO ohlcv_1min VALUES ('{}', now(), 1, 1, 1, 1, 1)"
    execute(database, bar.format("ZZTEST7"))
    execute(database, bar.format("AAPL"))
    done = command("simulate", "--forget", **given)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 ohlcv_1min deleted" in done.stdout
    assert "0 cached patterns deleted" in done.stdout
    assert "0 ohlcv_1min deleted" in command("simulate", "--forget", **given).stdout


def test_check_prints_masked_settings_and_what_each_server_says(command: Run, database: str, redis: str) -> None:
    execute(database, "SELECT 1")
    given: dict[str, Any] = {
        "DATABASE_URI": database.replace("@", ":hidden@", 1) if "@" in database else database,
        "REDIS_URL": redis,
        "TICKSTOCKPL_REDIS__PASSWORD": "alsohidden",
        "TICKSTOCKPL_BAR__WINDOW": "3",
    }
    done = command("check", **given)
    assert done.returncode == 2
    assert "hidden" not in done.stdout + done.stderr
    assert '"window": 200' in done.stdout
    assert "FAIL names: not settings: TICKSTOCKPL_BAR__WINDOW" in done.stdout
    assert "FAIL database: " in done.stdout
    assert "run `tickstockpl migrate`" in done.stdout
