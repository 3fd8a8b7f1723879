"""Timeframes agree where the oracle says so, of what each of them says alone; later bars take nothing of it back."""

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

import tickstockpl as tp
from oracle_agreement import Agreement, Bar, Held, Member, agreements
from oracle_bars import Bar as Minute
from pattern_play import MINUTE_US, SPY, US22, columns, market_data, message, real_bars
from swing_walk import swings
from tickstockpl import catalogue
from tickstockpl.kernel import columns_of_bars

IDS = [pattern["id"] for pattern in tp.PATTERNS]
CHARTS = tuple(entry.id for entry in catalogue.entries() if entry.family == "figure")
TIMEFRAMES = ("1min", "5min", "15min", "1hour", "daily")
DAY_US = 86_400_000_000


def settings(*timeframes: str, patterns: tuple[str, ...] = CHARTS, **changed: Any) -> tp.EngineSettings:
    return replace(tp.EngineSettings(patterns=patterns, timeframes=timeframes or TIMEFRAMES), **changed)


def rows_by_bar(found: tp.Detections, ids: tuple[str, ...]) -> dict[int, list[int]]:
    """The rows of these patterns by the start of their bar, in the order of the list of all."""
    rows: dict[int, list[int]] = {}
    for row in np.argsort(found.pattern, kind="stable").tolist():
        if IDS[found.pattern[row]] in ids:
            rows.setdefault(int(found.ts_us[row]), []).append(row)
    return rows


def said_of(found: tp.Detections, row: int) -> tuple[float, float | None, float | None]:
    """Confidence, stop and target."""
    stop, target = (None if np.isnan(price) else float(price) for price in (found.stop[row], found.target[row]))
    return float(found.confidence[row]), stop, target


def alone(minutes: dict[str, list[Any]], timeframe: str, told: tp.EngineSettings) -> list[Bar]:
    """The bars of one symbol in a timeframe, as an engine sees them that looks at nothing else."""
    output = tp.Engine(replace(told, patterns=CHARTS, timeframes=(timeframe,))).replay(
        columns_of_bars(minutes), last=True
    )
    bars = output.bars if timeframe == "1min" else output.longer
    found = output.detections
    rows = rows_by_bar(found, CHARTS)

    def held(row: int) -> Held:
        return Held(IDS[found.pattern[row]], int(found.direction[row]), *said_of(found, row))

    starts = bars.ts_us.tolist()
    ends = [start + MINUTE_US for start in starts] if timeframe == "1min" else output.longer.end_us.tolist()
    return [
        Bar(start, end, start // DAY_US, tuple(map(held, rows.get(start, ()))))
        for start, end in zip(starts, ends, strict=True)
    ]


def told_by(found: tp.Detections, row: int) -> Agreement:
    first, count = int(found.member_row[row]), int(found.n_members[row])
    members = []
    for at, (pattern, timeframe, start_us, _) in zip(range(first, first + count), found.members(row), strict=True):
        assert tp.TIMEFRAMES[found.member_timeframe[at]] == timeframe
        held = Held(pattern, int(found.member_direction[at]), float(found.member_confidence[at]), None, None)
        members.append(Member(timeframe, start_us, int(found.member_end_us[at]), held))
    start_us, direction = int(found.ts_us[row]), int(found.direction[row])
    return Agreement(tp.TIMEFRAMES[found.timeframe[row]], start_us, direction, *said_of(found, row), tuple(members))


def without_levels(one: Agreement) -> Agreement:
    """Members' levels are not told."""
    bare = (member._replace(held=member.held._replace(stop=None, target=None)) for member in one.members)
    return one._replace(members=tuple(bare))


def assert_equal_to_oracle(bars: list[Minute], told: tp.EngineSettings) -> Counter[tuple[str, int, int]]:
    """Returns how many there are by timeframe, direction and members."""
    minutes = columns({"ZZTEST1": bars})
    found = tp.scan(minutes, settings=replace(told, patterns=("agreement",)))
    assert {IDS[pattern] for pattern in found.pattern.tolist()} <= {"agreement"}, "chart patterns are off, and not told"
    own = sorted((told_by(found, row) for row in range(len(found))), key=lambda one: (one.timeframe, one.start_us))
    meant = map(without_levels, agreements({name: alone(minutes, name, told) for name in told.timeframes}))
    assert own == sorted(meant, key=lambda one: (one.timeframe, one.start_us))
    return Counter((one.timeframe, one.direction, len(one.members)) for one in own)


def test_timeframes_agree_where_the_oracle_says_so() -> None:
    agreed: Counter[tuple[str, int, int]] = Counter()
    for seed in range(4):
        agreed += assert_equal_to_oracle(swings(seed, 6_000, units=10_000, step=0.01), settings())
    assert {(timeframe, way) for timeframe, way, _ in agreed} >= {
        (name, way) for name in ("1min", "5min") for way in (1, -1)
    }
    assert any(members > 2 for *_, members in agreed)


@market_data
def test_timeframes_agree_where_the_oracle_says_so_on_real_bars() -> None:
    agreed = assert_equal_to_oracle(real_bars(SPY)["SPY"], settings())
    for symbol in ("AAPL", "TSLA", "BAC"):
        agreed += assert_equal_to_oracle(real_bars(US22)[symbol], settings())
    assert sum(agreed.values()) > 100


def events(found: tp.Detections) -> dict[bytes, tuple[int, float, Any]]:
    """Of agreements, by id: the end of the bar, the confidence, the members."""
    rows = (found.pattern == IDS.index("agreement")).nonzero()[0].tolist()
    return {
        found.event_id[row]: (int(found.end_us[row]), float(found.confidence[row]), found.members(row)) for row in rows
    }


def test_no_prefix_shows_an_agreement_that_more_minutes_take_back() -> None:
    bars = swings(1, 6_000, units=10_000, step=0.01)
    told = settings(patterns=("agreement",))
    whole = events(tp.scan(columns({"ZZTEST1": bars}), settings=told))
    assert len(whole) > 30
    for cut in np.linspace(600, len(bars), 60).astype(int).tolist():
        seen = events(tp.scan(columns({"ZZTEST1": bars[:cut]}), settings=told))
        ended = {known: said for known, said in whole.items() if said[0] <= bars[cut - 1].ts_us + MINUTE_US}
        assert seen == ended, "what is over is there, as it will always be"


def test_members_are_the_events_of_their_timeframes_and_the_first_is_that_of_the_bar() -> None:
    found = tp.scan(
        columns({"ZZTEST1": swings(2, 6_000, units=10_000, step=0.01)}),
        settings=settings(patterns=(*CHARTS, "agreement")),
    )
    known = {found.event_id[row].decode(): row for row in range(len(found))}
    agreed = (found.pattern == IDS.index("agreement")).nonzero()[0].tolist()
    assert len(agreed) > 30
    for row in agreed:
        members = [known[event_id] for *_, event_id in found.members(row)]
        assert found.ts_us[members[0]] == found.ts_us[row]
        assert found.timeframe[members[0]] == found.timeframe[row]
        assert (np.diff(found.timeframe[members]) > 0).all()
        assert (found.end_us[members] <= found.end_us[row]).all()
        assert (found.direction[members] == found.direction[row]).all()
        assert found.confidence[row] == found.confidence[members].min()


def test_what_is_found_of_others_does_not_depend_on_whether_timeframes_are_asked_to_agree() -> None:
    minutes = columns({"ZZTEST1": swings(3, 6_000, units=10_000, step=0.01)})
    without, beside = (tp.scan(minutes, settings=settings(patterns=ids)) for ids in (CHARTS, (*CHARTS, "agreement")))
    rest = beside.pattern != IDS.index("agreement")
    assert 0 < np.count_nonzero(~rest) < np.count_nonzero(rest)
    for name in ("event_id", "confidence", "conflict", "supersedes", "ts_us", "timeframe"):
        assert getattr(beside, name)[rest].tolist() == getattr(without, name).tolist()


def test_one_timeframe_has_nothing_to_agree_with() -> None:
    minutes = columns({"ZZTEST1": swings(0, 6_000, units=10_000, step=0.01)})
    for timeframe in ("1min", "5min"):
        assert len(tp.scan(minutes, settings=settings(timeframe, patterns=("agreement",)))) == 0


def test_an_engine_that_was_fed_and_one_of_a_snapshot_agree_with_the_one_that_went_on() -> None:
    bars = swings(4, 4_000, units=10_000, step=0.01)
    today = bars[-1].ts_us // DAY_US * DAY_US
    cut = next(at for at, bar in enumerate(bars) if bar.ts_us >= today + 6 * 3_600_000_000)
    first, rest = (columns_of_bars(columns({"ZZTEST1": part})) for part in (bars[:cut], bars[cut:]))
    told = settings(patterns=("agreement",))
    whole, fed, restored = (tp.Engine(told) for _ in range(3))
    whole.replay(first)
    restored.restore(whole.snapshot())
    fed.warm(first)
    said = [events(engine.replay(rest, last=True).detections) for engine in (whole, fed, restored)]
    assert said[0] == said[1] == said[2]
    assert len(said[0]) > 5


def test_a_late_tick_takes_an_agreement_back_and_another_brings_a_new_one() -> None:
    bars = swings(1, 6_000, units=10_000, step=0.01)
    told = settings(patterns=("agreement",))
    of_minutes = [
        (row, end_us)
        for row, (end_us, _, members) in events(tp.scan(columns({"A": bars}), settings=told)).items()
        if members[0][1] == "1min"
    ]
    taken = 0
    for known, end_us in of_minutes[:20]:
        at = next(at for at, bar in enumerate(bars) if bar.ts_us + MINUTE_US == end_us)
        if at + 1 == len(bars):
            continue
        engine = tp.Engine(told)
        engine.replay(columns_of_bars(columns({"A": bars[: at - 2]})))
        ticks = [message("A", each, 10) for each in bars[at - 2 : at + 2]]
        assert known in engine.ingest(ticks, bars[at].ts_us + 70_000_000).detections.event_id.tolist()
        late = [Minute(bars[at].ts_us, price, price, price, price, 1) for price in (bars[at].open, bars[at].close)]
        gone, again = (
            engine.ingest([message("A", each, second)], bars[at].ts_us + 70_000_000).detections
            for second, each in zip((30, 40), late, strict=True)
        )
        if known not in gone.event_id.tolist():
            continue
        assert not gone.held[gone.event_id.tolist().index(known)]
        assert known not in again.event_id.tolist()
        back = (again.ts_us == bars[at].ts_us) & (again.pattern == IDS.index("agreement"))
        assert again.held[back].tolist() == [True]
        assert again.revision[back].tolist() == [2]
        taken += 1
    assert taken > 5
