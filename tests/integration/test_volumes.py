"""A start knows what each minute traded on other days as a run does that saw them."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tickstockpl as tp
from cold_start import ColdStart, minutes_of
from market_rows import MINUTE_US, found, market, put_minutes, told, within, xnys
from minute_rows import Kind, prepare
from tickstockpl.errors import SettingsError
from tickstockpl.kernel import GAP, columns_of_bars
from tickstockpl.sessions import Sessions
from tickstockpl.settings import Settings
from tickstockpl.starting import build_engine, warm
from tickstockpl.volumes import Volumes, week_of

pytestmark = pytest.mark.anyio

FIRST, TODAY = date(2025, 9, 8), date(2025, 10, 14)
"""A Monday, and a Tuesday some 27 sessions later."""
ENABLED = ("volume_spike_of_day",)


@pytest.fixture
def calendar(state_dir: Path) -> Sessions:
    return xnys(state_dir)


def settings(uri: str, mode: str = "regular", *, enabled: Sequence[str] = ENABLED, **sections: Any) -> Settings:
    given = {
        "database": {"uri": uri},
        "session": {"mode": mode},
        "patterns": {"enabled": enabled, "timeframes": ("1min",)},
    }
    return Settings.model_validate(given | sections)


def flagged(columns: dict[str, Any], share: float) -> dict[str, Any]:
    """The same minutes, some of which may lack ticks."""
    quality = columns["quality"].copy()
    quality[np.random.default_rng(1).random(len(quality)) < share] = GAP
    return columns | {"quality": quality}


@pytest.mark.parametrize(
    ("kind", "mode", "seed", "split"),
    [("ours", "regular", 1, None), ("ours", "regular", 2, 14), ("appv2", "regular", 3, None),
     ("naive", "regular", 4, 21), ("ours", "extended", 5, None), ("naive", "extended", 6, None),
     ("ours", "always", 7, None), ("ours", "always", 8, 24)],
)  # fmt: skip
async def test_a_start_finds_what_a_run_finds_that_saw_every_session(
    database: str, calendar: Sessions, kind: Kind, mode: Any, seed: int, split: int | None
) -> None:
    """From the session's open on, or amid it."""
    await prepare(database, kind)
    await told(database, calendar)
    days = calendar.between(mode, FIRST, TODAY)
    columns, today = flagged(market(days, 100 * seed, spikes=0.05), 0.01), days[-1]
    if split is not None:
        later = columns["ts_us"] >= days[split].open_us
        for name in ("open", "high", "low", "close"):
            columns[name] = np.where(later, 2 * columns[name], columns[name])
    now_us = today.open_us + 100 * MINUTE_US * (seed % 2)
    before, after = within(columns, days[0].open_us, now_us), within(columns, now_us, today.close_us)
    await put_minutes(database, kind, before)

    def live(enabled: Sequence[str] = ENABLED) -> list[tuple[Any, ...]]:
        """What one finds that ran through; a thin symbol's last bars of before close now."""
        run = build_engine(settings(database, mode, enabled=enabled), calendar, None)
        found(run, before)
        return [each for each in found(run, after) if int(each[2]) >= now_us]

    expected, spikes = live(), live(("volume_spike",))
    start = build_engine(settings(database, mode), calendar, None)
    await warm(start, settings(database, mode), calendar, now_us + 1)
    assert found(start, after) == expected
    since_split = len(days) - 1 - (split or 0)
    assert 0 < len(expected) <= len(spikes)
    assert (len(expected) < len(spikes)) == (since_split >= 10)


async def test_a_symbol_that_was_not_heard_for_a_session_begins_anew(database: str, calendar: Sessions) -> None:
    """As a run has forgotten it; of the days after, fewer than ten are known."""
    await prepare(database, "ours")
    await told(database, calendar)
    days = calendar.between("regular", FIRST, TODAY)
    columns, today, silent = market(days, 900, spikes=0.05, thin=1.0), days[-1], days[-6]
    heard = ~((columns["ts_us"] >= silent.open_us) & (columns["ts_us"] < silent.close_us) & (columns["symbol"] == "A"))
    await put_minutes(database, "ours", within({name: each[heard] for name, each in columns.items()}, 0, today.open_us))
    made = []
    for enabled in (ENABLED, ("volume_spike",)):
        start = build_engine(settings(database, enabled=enabled), calendar, None)
        await warm(start, settings(database, enabled=enabled), calendar, today.open_us + 1)
        spikes = found(start, within(columns, today.open_us, today.close_us))
        made.append({name: [each[2] for each in spikes if each[0] == name] for name in "AB"})
    assert made[0]["A"] == made[1]["A"]
    assert 0 < len(made[0]["B"]) < len(made[1]["B"])


async def test_an_engine_that_does_not_ask_is_told_nothing(database: str, calendar: Sessions) -> None:
    await prepare(database, "ours")
    await told(database, calendar)
    days = calendar.between("regular", FIRST, TODAY)
    await put_minutes(database, "ours", within(market(days, 7), days[-3].open_us, days[-1].open_us))
    given = settings(database, enabled=("volume_spike", "daily_breakout"))
    start = build_engine(given, calendar, None)
    await warm(start, given, calendar, days[-1].open_us + 1)
    assert not start.needs_volumes
    assert start.volumes_since(["A"]).tolist() == [2**63 - 1]


@pytest.mark.parametrize("days", [7, 27])
async def test_minutes_that_are_deleted_before_a_start_could_read_them_are_refused(
    database: str, calendar: Sessions, days: int
) -> None:
    with pytest.raises(SettingsError, match=f"retention.bars_days must be at least 28 .* was {days}"):
        build_engine(settings(database, retention={"bars_days": days}), calendar, None)
    build_engine(settings(database, retention={"bars_days": 28}), calendar, None)
    build_engine(settings(database, enabled=("doji",), retention={"bars_days": days}), calendar, None)


def test_weeks_are_the_engines() -> None:
    """A volume is taken in the week of a session that was told of, and in no other."""
    hour_us = 3_600_000_000
    for opens_us in (np.arange(0, 16 * 24, 5) * hour_us, np.arange(0, 16 * 24, 5) * hour_us + 1_757_338_200_000_000):
        for open_us, week in zip(opens_us.tolist(), week_of(opens_us).tolist(), strict=True):
            engine = tp.Engine(tp.EngineSettings(patterns=ENABLED))
            zeros, one = np.zeros(1, dtype=np.int64), np.ones(1)
            bar = {
                **dict.fromkeys(("open", "high", "low", "close"), one),
                "symbol": ["X"],
                "ts_us": np.array([open_us]),
                "volume": zeros,
            }
            engine.know(columns_of_bars(bar, ()))
            taken = [other_us for other_us in opens_us.tolist() if engine.know_volumes(volume(other_us))]
            assert taken == opens_us[week_of(opens_us) == week].tolist()


def volume(open_us: int) -> Volumes:
    zero = np.zeros(1, dtype=np.int32)
    return Volumes(["X"], zero, np.array([open_us]), zero, np.ones(1, dtype=np.int64), zero.astype(np.uint8))


async def test_a_service_that_starts_cold_in_the_fourth_week_fires_what_one_fires_that_ran_through(
    ready: str, redis: str, calendar: Sessions, state_dir: Path
) -> None:
    days = calendar.between("regular", date(2025, 9, 22), TODAY)
    today = days[-1]
    columns = market(days, 11, thin=1.0, spikes=0.05)
    market_of_a = ColdStart(ready, redis, state_dir, minutes_of(columns, "A"), today)

    async def fired(since_us: int, enabled: Sequence[str] = ENABLED) -> list[Any]:
        return await market_of_a.fired(since_us, patterns={"enabled": enabled, "timeframes": ("1min",)})

    through = await fired(days[0].open_us)
    await market_of_a.forget()
    assert await fired(today.open_us) == through
    await market_of_a.forget()
    assert 0 < len(through) < len(await fired(today.open_us, ("volume_spike",)))
