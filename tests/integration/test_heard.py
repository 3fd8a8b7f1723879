"""A start knows of a symbol that was silent what a run does: at a regular open it has forgotten what came before."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tickstockpl as tp
from market_rows import MINUTE_US, market, put_minutes, told, within, xnys
from tickstockpl.sessions import Sessions
from tickstockpl.settings import Settings
from tickstockpl.starting import build_engine, warm

pytestmark = pytest.mark.anyio

FIRST, LAST = date(2025, 9, 29), date(2025, 10, 14)


@pytest.fixture
def calendar(state_dir: Path) -> Sessions:
    return xnys(state_dir)


def live(
    engine: tp.Engine, columns: dict[str, Any], after_us: int, first_of: str
) -> dict[str, set[tuple[str, str, bytes]]]:
    """By symbol the events on bars that end after a time: each minute is a tick a symbol, that of `first_of` first."""
    order = np.lexsort((columns["symbol"], columns["symbol"] != first_of, columns["ts_us"]))
    found: dict[str, set[tuple[str, str, bytes]]] = {"A": set(), "B": set()}
    minutes: dict[int, list[bytes]] = {}
    for at in order.tolist():
        us, last = int(columns["ts_us"][at]), float(columns["close"][at])
        of = {f"tick_{name}": float(columns[name][at]) for name in ("open", "high", "low", "close")}
        volume = int(columns["volume"][at])
        tick = {"event_type": "T", "timestamp": us / 1e6 + 1, "price": last, "volume": volume, "tick_volume": volume}
        first = {"ticker": "0", "event_type": "T", "timestamp": us / 1e6 + 1, "price": 50.0, "volume": 1}
        messages = minutes.setdefault(us, [json.dumps(first).encode()] if first_of == "0" else [])
        messages.append(json.dumps({"ticker": str(columns["symbol"][at]), **tick, **of}).encode())
    for us, messages in minutes.items():
        made = engine.ingest(messages, us + 1_000_000).detections
        for at in np.flatnonzero(made.end_us > after_us).tolist():
            known = found.setdefault(made.symbols[made.symbol[at]], set())
            known.add(
                (made.patterns[made.pattern[at]]["id"], tp.TIMEFRAMES[made.timeframe[at]], bytes(made.event_id[at]))
            )
    return found


@pytest.mark.parametrize("mode", ["regular", "extended", "always"])
@pytest.mark.parametrize(("ago", "first_of"), [(1, "0"), (2, "0"), (4, "0"), (1, "B"), (2, "B")])
@pytest.mark.parametrize("minutes", [0, 60])
async def test_a_symbol_that_was_silent_from_an_open_to_the_next_begins_there(
    ready: str, calendar: Sessions, mode: Any, ago: int, first_of: str, minutes: int
) -> None:
    """ago: so many sessions; first_of: who ticks first in a minute; minutes: after today's open that the start is."""
    await told(ready, calendar)
    days = [day for day in calendar.between(mode, FIRST, LAST) if day.day.weekday() < 5][-8:]
    regular = {day.day: day for day in calendar.between("regular", FIRST, LAST)}
    opens = [regular[day.day].open_us for day in days]
    columns = market(days, 300)
    silent = (columns["symbol"] == "B") & (columns["ts_us"] >= opens[-1 - ago]) & (columns["ts_us"] < opens[-ago])
    columns = {name: values[~silent] for name, values in columns.items()}
    patterns = {"timeframes": ("1min", "5min", "15min", "1hour", "daily")}
    settings = Settings.model_validate(
        {
            "database": {"uri": ready},
            "session": {"mode": mode},
            "patterns": patterns,
            "bars": {"longer_sessions": 60},
        }
    )
    now_us = opens[-1] + minutes * MINUTE_US
    before, rest = within(columns, 0, now_us), within(columns, now_us, min(days[-1].close_us, now_us + 120 * MINUTE_US))
    await put_minutes(ready, "ours", before)
    run, start = (build_engine(settings, calendar, None) for _ in range(2))
    live(run, before, now_us, first_of)
    await warm(start, settings, calendar, now_us + 1)
    expected, found = (live(engine, rest, now_us, first_of) for engine in (run, start))
    assert [found[name] for name in "AB"] == [expected[name] for name in "AB"]
    assert len(expected["A"]) > 50 < len(expected["B"])
