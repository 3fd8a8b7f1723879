"""What becomes of events on bars of a day and a week: a start takes up what the run before has left, weeks ago too."""

import json
import uuid
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tickstockpl as tp
from bar_samples import rows, stored
from market_rows import MINUTE_US, market, put_minutes, told, within, xnys
from tickstockpl.clock import ManualClock
from tickstockpl.daily import daily_bars, over_us
from tickstockpl.followers import Followers
from tickstockpl.kernel import columns_of_bars
from tickstockpl.outcome_rows import Outcomes
from tickstockpl.selection import event_followers
from tickstockpl.service import _Helpers
from tickstockpl.sessions import Sessions
from tickstockpl.settings import Settings
from tickstockpl.starting import build_engine, warm
from tickstockpl.wire import WriteBatch

pytestmark = pytest.mark.anyio

FIRST, LAST = date(2025, 5, 5), date(2025, 10, 14)
LONG = ("daily", "weekly")
PUT = """
INSERT INTO pattern_event
  (event_id, symbol, pattern, pattern_id, direction, confidence, bar_start, bar_end, revision, payload, expires_at,
   timeframe, part)
SELECT id, symbol, 'P', 'p', way, 0.5, to_timestamp(us / 1e6), to_timestamp(until / 1e6), 0, payload::jsonb, now(),
  timeframe, $8
FROM unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::text[], $7::text[])
  AS e(id, symbol, way, us, until, payload, timeframe)
"""


@pytest.fixture
def calendar(state_dir: Path) -> Sessions:
    return xnys(state_dir)


class Run:
    """An engine and what follows its events; the last word on each event of a day or a week, and the events."""

    def __init__(self, settings: Settings, calendar: Sessions) -> None:
        self.engine = build_engine(settings, calendar, None)
        self.followers = event_followers(settings, calendar)
        self.said: dict[bytes, tuple[Any, ...]] = {}
        self.outcomes: list[Outcomes] = []
        self.events: list[Any] = []

    def replay(self, columns: dict[str, Any]) -> None:
        """Day by day of UTC."""
        days = columns["ts_us"] // (1440 * MINUTE_US)
        for day in np.unique(days):
            own = {name: values[days == day] for name, values in columns.items()}
            order = np.lexsort((own["symbol"], own["ts_us"]))
            given = {name: values[order] for name, values in own.items()}
            made = self.engine.replay(columns_of_bars(given, ("vwap", "trades", "quality")))
            self.events.append(made.detections)
            self.take(self.followers.follow(made))

    def take(self, ended: list[Outcomes]) -> None:
        for each in (one for one in ended if one.timeframe in LONG):
            self.outcomes.append(each)
            for row in each.rows:
                self.said[bytes(row["event_id"])] = (each.timeframe, *row.tolist()[2:])

    async def take_up(self, timeframe: str, events: Any, bars: Any) -> None:
        """As `Pipeline.take_up`, at once."""
        ended = self.followers.load(timeframe, events, bars)
        self.take([] if ended is None else [ended])


def columns_of(found: Any) -> tuple[list[Any], ...]:
    """The columns of `PUT` but the last, of events on bars of a day and a week."""
    at = np.flatnonzero(np.isin(found.timeframe, [tp.TIMEFRAMES.index(name) for name in LONG]))

    def payload(row: int) -> str:
        prices = {name: float(getattr(found, name)[row]) for name in ("atr", "entry", "stop", "target")}
        known = {name: price for name, price in prices.items() if not np.isnan(price)}
        return json.dumps({"current_price": float(found.close[row]), **known})

    return (
        [found.event_id[row].decode() for row in at],
        [found.symbols[found.symbol[row]] for row in at],
        *(getattr(found, name)[at].tolist() for name in ("direction", "ts_us", "end_us")),
        [payload(row) for row in at.tolist()],
        [tp.TIMEFRAMES[found.timeframe[row]] for row in at],
    )


@pytest.mark.parametrize(("mode", "thin"), [("regular", 0.1), ("extended", 0.05), ("always", 0.03)])
@pytest.mark.parametrize(("ago", "minutes"), [(1, 60), (24, 60), (24, -180)])
async def test_a_restart_says_of_events_of_days_and_weeks_what_the_run_would_have_said(
    ready: str, calendar: Sessions, mode: Any, thin: float, ago: int, minutes: int
) -> None:
    """ago: so many sessions before the last one; minutes: after its open. Before it, the last bars are over by the
    clock alone: a service has told them, which this run of bars has not, so what it finds on them is left out.
    """
    await told(ready, calendar)
    settings = Settings.model_validate(
        {
            "database": {"uri": ready},
            "session": {"mode": mode},
            "patterns": {"timeframes": ("1min", *LONG)},
            "bars": {"longer_sessions": 140},
        }
    )
    days = [day for day in calendar.between(mode, FIRST, LAST) if day.day.weekday() < 5]
    columns = market(days, 400, thin=thin)
    # a run that is fed bars does not forget who was silent for a session, as one that hears ticks does
    columns = {name: values[columns["symbol"] != "THIN"] for name, values in columns.items()}
    now_us = days[-1 - ago].open_us + minutes * MINUTE_US
    before, rest = within(columns, 0, now_us), within(columns, now_us, days[-1].close_us)
    run, start = Run(settings, calendar), Run(settings, calendar)
    for name in run.followers.timeframes:
        run.followers.loaded(name)
    run.replay(before)
    begun = [columns_of(found) for found in run.events]
    await rows(ready, PUT, *([cell for column in of for cell in column] for of in zip(*begun, strict=True)), "ticks")
    await stored(ready, *(WriteBatch(outcomes=each) for each in run.outcomes), part="ticks")
    known = dict(run.said)
    await put_minutes(ready, "ours", before)
    async with daily_bars(settings.database) as daily:
        for session in await daily.due(days[0].open_us, over_us(now_us, settings.bars.revise_s)):
            await daily.write(session)

    warmed = await warm(start.engine, settings, calendar, now_us)
    helpers = _Helpers.of(settings, (), calendar, ManualClock(now_us), warmed.known_us)
    start.followers = helpers.followers
    await helpers.follow(start)  # type: ignore[arg-type]  # stands for the pipeline
    if minutes > 0:
        assert still_open(start.followers) == still_open(run.followers) > 20
    run.replay(rest)
    start.replay(rest)
    stored_ids = {uuid.UUID(text).bytes for found, *_ in begun for text in found}
    is_told = stored_ids.__contains__ if minutes < 0 else lambda _: True
    assert {event: said for event, said in (known | start.said).items() if is_told(event)} == {
        event: said for event, said in run.said.items() if is_told(event)
    }
    later = [timeframe for event, (timeframe, *_) in run.said.items() if event not in known]
    assert later.count("daily") > 0
    assert later.count("weekly") > 0 or ago == 1


def still_open(followers: Followers) -> int:
    return sum(followers._each[name].open for name in LONG)
