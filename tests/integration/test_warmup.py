"""History for the engine, out of a real hypertable and out of AppV2's numeric table."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

import tickstockpl as tp
from bar_samples import MINUTE_US, NINE_30_US, event, ran, stored, versions
from bar_samples import rows as rows_of
from event_samples import ENCODER, events
from tickstockpl.events import EventColumns, Events, Expiry
from tickstockpl.history import History, Replayed
from tickstockpl.migrate import migrate
from tickstockpl.position import EVER_US
from tickstockpl.settings import DatabaseSettings
from tickstockpl.warmup import SYMBOLS_PER_CHUNK, history, revised, span
from tickstockpl.wire import WriteBatch

pytestmark = pytest.mark.anyio

APPV2 = (Path(__file__).resolve().parent.parent / "appv2_tables.sql").read_text(encoding="utf-8")
DAY_US = 86_400_000_000
SESSIONS = np.array(
    [[NINE_30_US + n * DAY_US, NINE_30_US + n * DAY_US + 390 * MINUTE_US] for n in range(-6, 3)], dtype=np.int64
)
DAY = 1440
NOW_US = NINE_30_US + 60 * MINUTE_US


async def read(uri: str, now_us: int = NOW_US, **options: Any) -> list[History]:
    values: dict[str, Any] = {"uri": uri}
    return [chunk async for chunk in history(DatabaseSettings(**values), SESSIONS, now_us, **options)]


async def minutes(uri: str, now_us: int = NOW_US, **options: Any) -> dict[str, list[int]]:
    """Per symbol, which minutes after the first session's 09:30 came, in order."""
    found: dict[str, list[int]] = {}
    for chunk in await read(uri, now_us, **options):
        for symbol, ts_us in zip(chunk.symbol.tolist(), chunk.ts_us.tolist(), strict=True):
            found.setdefault(chunk.symbols[symbol], []).append((ts_us - NINE_30_US) // MINUTE_US)
    return found


async def fill(uri: str, symbol: str, *spans: range, quality: int = 0) -> None:
    numbers = [(symbol, minute, 10, 0) for part in spans for minute in part]
    await stored(uri, WriteBatch(bars=versions(numbers, quality=quality)))


async def test_the_last_bars_in_session_before_today_and_all_of_today(ready: str) -> None:
    await fill(ready, "A", range(-DAY, -DAY + 390), range(-30, 60))
    assert await minutes(ready) == {"A": [*range(-DAY + 190, -DAY + 390), *range(60)]}


async def test_bars_out_of_session_take_no_place_in_the_window(ready: str) -> None:
    await fill(ready, "A", range(-DAY, -DAY + 400), range(-100, -60), range(5))
    assert (await minutes(ready, window=10))["A"] == [*range(-DAY + 380, -DAY + 390), *range(5)]


async def test_a_thin_symbol_is_sought_in_older_sessions(ready: str) -> None:
    thin = [n * DAY + 7 for n in range(-6, 0)]
    await fill(ready, "THIN", *(range(minute, minute + 1) for minute in thin))
    await fill(ready, "BUSY", range(-DAY, -DAY + 390))
    found = await minutes(ready, window=4)
    assert found == {"THIN": thin[2:], "BUSY": list(range(-DAY + 386, -DAY + 390))}


async def test_a_symbol_unheard_since_the_session_before_is_not_fed(ready: str) -> None:
    await fill(ready, "GONE", range(-3 * DAY, -3 * DAY + 50))
    await fill(ready, "HERE", range(-DAY, -DAY + 3))
    assert list(await minutes(ready)) == ["HERE"]


async def test_what_a_replay_makes_anew_is_not_read_and_neither_is_what_was_repaired_there(ready: str) -> None:
    await fill(ready, "A", range(7))
    src_id = uuid4()
    ours = f"src_id = '{src_id}', first_src = 10, last_src = 20"
    of = "symbol = 'A' AND timestamp = timestamptz 'epoch' + {} * interval '1 microsecond'".format
    await ran(ready, f"UPDATE ohlcv_1min SET {ours}; UPDATE ohlcv_1min SET src_id = NULL WHERE {of(minute_us(6))}")
    for minute in (2, 4):
        await ran(ready, f"UPDATE ohlcv_1min SET quality = 'repaired', src_id = NULL WHERE {of(minute_us(minute))}")
    assert await minutes(ready, replayed=Replayed(src_id, minute_us(3), 0)) == {"A": [0, 1, 2, 6]}
    assert await minutes(ready, replayed=Replayed(src_id, EVER_US, 0)) == {"A": [2, 4, 6]}


def minute_us(minute: int) -> int:
    return NINE_30_US + minute * MINUTE_US


async def test_the_revise_window_reaches_behind_todays_open(ready: str) -> None:
    await fill(ready, "A", range(-60, 2))
    early = NINE_30_US + 2 * MINUTE_US
    assert (await minutes(ready, early))["A"] == list(range(-14, 2))


async def test_provisional_bars_come_even_out_of_session(ready: str) -> None:
    await fill(ready, "A", range(-500, -490), range(5))
    await fill(ready, "A", range(-480, -479), quality=4)
    assert (await minutes(ready))["A"] == [-480, *range(5)]


async def test_a_provisional_bar_in_session_comes_once(ready: str) -> None:
    await fill(ready, "A", range(-DAY, -DAY + 1), quality=4)
    (chunk,) = await read(ready)
    assert chunk.quality.tolist() == [4]


async def test_before_the_first_session_only_the_revise_window_is_read(ready: str) -> None:
    await fill(ready, "A", range(-7 * DAY - 60, -7 * DAY))
    assert (await minutes(ready, NINE_30_US - 7 * DAY_US, revise_s=600.0))["A"] == list(range(-7 * DAY - 11, -7 * DAY))


async def test_columns_are_those_that_were_written(ready: str) -> None:
    written = versions([("A", 1, 7, 2), ("A", 2, 8, 3), ("B", 1, 9, 0)], price=187.0301, volume=12345, quality=2 | 8)
    await stored(ready, WriteBatch(bars=written))
    (chunk,) = await read(ready)
    assert chunk.symbols == ["A", "B"]
    for name in ("symbol", "ts_us", "open", "high", "low", "close", "volume", "vwap", "trades", "revision", "quality"):
        got, put = getattr(chunk, name), getattr(written, name)
        assert got.dtype == put.dtype, name
        assert got.tolist() == put.tolist(), name
        assert got.flags.c_contiguous, name
    assert chunk.open_us.tolist() == written.open_us.tolist()
    assert chunk.close_us.tolist() == written.close_us.tolist()


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp"])
async def test_another_writers_rows_have_no_trades_and_no_times(database: str, kind: str) -> None:
    await ran(database, APPV2.replace("timestamp timestamptz NOT NULL", f"timestamp {kind} NOT NULL"))
    await migrate(database)
    await ran(
        database,
        "INSERT INTO ohlcv_1min VALUES ('AAPL', '2025-10-13 13:31', 187.0301, 188, 186, 187.5, NULL), "
        "('MSFT', '2025-10-13 13:31', 1, 2, NULL, 1, 1)",
    )
    (chunk,) = await read(database)
    assert chunk.ts_us.tolist() == [NINE_30_US + MINUTE_US]
    assert [chunk.symbols[i] for i in chunk.symbol] == ["AAPL"]
    assert chunk.open.tolist() == [187.0301]
    assert [chunk.volume[0], chunk.trades[0], chunk.revision[0], chunk.quality[0]] == [0, 0, 0, 0]
    assert [chunk.open_us[0], chunk.close_us[0]] == [-1, -1]
    assert np.isnan(chunk.vwap[0])


async def test_events_withdrawn_at_a_later_revision_than_their_bars_come_without_a_pattern(ready: str) -> None:
    gone = [event("AAPL", "Doji", minute, revision=revision) for minute, revision in ((0, 2), (1, 1), (2, 0))]
    rows = versions([("AAPL", minute, 10, 1) for minute in range(3)])
    await stored(ready, WriteBatch(bars=rows, events=events(*gone)))
    expired = tuple(Expiry(one.event_id, one.symbol, one.pattern, one.bar_end_us) for one in gone)
    await stored(ready, WriteBatch(expired=expired))
    values: dict[str, Any] = {"uri": ready}
    found = await revised(DatabaseSettings(**values), SESSIONS, NOW_US)
    assert found == [("AAPL", "1min", NINE_30_US, None, gone[0].direction, 2)]


@pytest.mark.parametrize("delay", [0, 200])
async def test_only_events_in_the_revise_window_of_the_newest_one_come(ready: str, delay: int) -> None:
    every = range(300 - delay)
    made = [event("AAPL", "Doji", minute, revision=1) for minute in every]
    rows = versions([("AAPL", minute, 10, 0) for minute in every])
    await stored(ready, WriteBatch(bars=rows, events=events(*made)))
    values: dict[str, Any] = {"uri": ready}
    now_us = NINE_30_US + 300 * MINUTE_US
    found = await revised(DatabaseSettings(**values), SESSIONS, now_us, revise_s=600.0)
    assert sorted((row[2] - NINE_30_US) // MINUTE_US for row in found) == list(every)[-13:]


async def test_an_event_after_a_restart_is_a_new_row_beside_the_withdrawn_one(ready: str) -> None:
    engulfing = tp.EngineSettings(channels=("data.raw",), patterns=("engulfing",))
    now_us = NINE_30_US + 22 * MINUTE_US
    values: dict[str, Any] = {"uri": ready}

    def tick(minute: int, bar: list[float], second: float = 1.0) -> bytes:
        price = dict(zip(("tick_open", "tick_high", "tick_low", "price"), bar, strict=True))
        at_s = (NINE_30_US + minute * MINUTE_US) / 1e6 + second
        return json.dumps({"ticker": "ZZTEST1", "event_type": "T", "timestamp": at_s, "volume": 100} | price).encode()

    async def kept(output: tp.Output) -> list[bool]:
        """Store what a call made; whether each detection of it is an event or a withdrawal."""
        rows, found = output.detections.held.nonzero()[0], output.detections
        made = Events(EventColumns.of(found), tp.PATTERNS, ENCODER, rows) if len(rows) else None
        gone = [
            Expiry(found.event_id[row].decode(), "ZZTEST1", "Engulfing", int(found.ts_us[row]) + MINUTE_US)
            for row in (~found.held).nonzero()[0].tolist()
        ]
        await stored(
            ready, WriteBatch(bars=output.bars if len(output.bars) else None, events=made, expired=tuple(gone))
        )
        return list(found.held.tolist())

    live = tp.Engine(engulfing)
    for minute, bar in enumerate(
        [[100.0, 101.0, 99.0, 100.5]] * 20 + [[100.5, 101, 100.3, 100.8], [100.1, 101, 100, 100.9]]
    ):
        await kept(live.ingest([tick(minute, bar)], now_us))
    await kept(live.flush())
    assert await kept(live.ingest([tick(20, [100.2] * 4, 10)], now_us)) == [True]
    assert await kept(live.ingest([tick(20, [100.8] * 4, 11)], now_us)) == [False]
    restarted = tp.Engine(engulfing)
    assert sum([restarted.warm(chunk) for chunk in await read(ready, now_us)]) == 22
    restarted.recall(await revised(DatabaseSettings(**values), SESSIONS, now_us))
    assert await kept(restarted.ingest([tick(20, [100.2] * 4, 12)], now_us)) == [True]
    query = "SELECT revision, expired_at IS NULL AS holds FROM pattern_event ORDER BY revision"
    assert await rows_of(ready, query) == [{"revision": 1, "holds": False}, {"revision": 2, "holds": True}]


@pytest.mark.parametrize("kind", ["numeric(10, 4)", "double precision"])
async def test_rows_with_a_price_that_is_not_a_number_are_left_out(database: str, kind: str) -> None:
    await ran(
        database,
        f"""CREATE TABLE ohlcv_1min (symbol varchar(20) NOT NULL, "timestamp" timestamptz NOT NULL, open {kind},
        high {kind}, low {kind}, close {kind}, volume bigint, PRIMARY KEY (symbol, "timestamp"))""",
    )
    await migrate(database)
    await ran(
        database,
        "INSERT INTO ohlcv_1min VALUES ('A', '2025-10-13 13:31Z', 1, 2, 'NaN', 1, 1), "
        "('A', '2025-10-13 13:32Z', 'NaN', 'NaN', 'NaN', 'NaN', 1), ('A', '2025-10-13 13:33Z', 0, 1, 0, 1, 1), "
        "('A', 'infinity', 1, 2, 1, 2, 1), ('A', '2025-10-10 13:31Z', 1, 2, 'NaN', 1, 1), "
        "('A', '2025-10-10 13:32Z', 1, 2, 1, 2, 1)",
    )
    assert await minutes(database) == {"A": [-3 * DAY + 2]}


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp"])
async def test_events_come_whose_revision_is_not_their_bars(database: str, kind: str) -> None:
    await ran(database, APPV2.replace("timestamp timestamptz NOT NULL", f"timestamp {kind} NOT NULL"))
    await migrate(database)
    made = [
        event("AAPL", "Doji", 0, revision=1),
        event("AAPL", "Hammer", 0),
        event("AAPL", "Doji", 1),
        event("AAPL", "Doji", 2),
    ]
    rows = versions([("AAPL", 0, 10, 1), ("AAPL", 1, 10, 2), ("AAPL", 2, 10, 0)])
    await stored(database, WriteBatch(bars=rows, events=events(*made)))
    withdrawn = event("AAPL", "Harami", 1)
    await stored(database, WriteBatch(events=events(withdrawn)))
    gone = Expiry(withdrawn.event_id, withdrawn.symbol, withdrawn.pattern, withdrawn.bar_end_us)
    await stored(database, WriteBatch(expired=(gone,)))
    values: dict[str, Any] = {"uri": database}
    found = await revised(DatabaseSettings(**values), SESSIONS, NOW_US)
    assert sorted(found) == [
        ("AAPL", "1min", NINE_30_US, "hammer", 1, 0),
        ("AAPL", "1min", NINE_30_US + MINUTE_US, "hammer", 1, 0),
    ]


async def test_many_symbols_come_in_chunks_each_symbol_whole(ready: str) -> None:
    names = [f"S{n:04}" for n in range(SYMBOLS_PER_CHUNK + 10)]
    await stored(ready, WriteBatch(bars=versions([(name, minute, 10, 0) for name in names for minute in (1, 2)])))
    chunks = await read(ready)
    assert [len(chunk) for chunk in chunks] == [2 * SYMBOLS_PER_CHUNK, 20]
    assert [name for chunk in chunks for name in chunk.symbols] == names


async def test_an_empty_table_gives_nothing(ready: str) -> None:
    assert await read(ready) == []


def test_span_ends_before_the_session_that_runs() -> None:
    wanted = span(SESSIONS, NOW_US, 900.0)
    assert wanted.since_us == NINE_30_US
    assert wanted.before.tolist() == SESSIONS[:6].tolist()
    assert wanted.heard_us == NINE_30_US - DAY_US
