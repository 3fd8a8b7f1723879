"""The engine is the oracle, on any feed, however it is cut into calls."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tickstockpl as tp
from oracle import MINUTE, SECOND, Rules
from rows import assert_same_rows, counted, emitted, engine_of, judged, played, rows_of, unaccounted
from strategies import T0, Call, Flush, Ingest, encoded, exploded, feeds, message, rules


def columns(table: Any) -> dict[str, list[Any]]:
    """A cell a row; what draws a detection in place of where that stands."""
    cells = {name: column.tolist() for name, column in table.to_dict().items()}
    if isinstance(table, tp.Detections):
        cells["point_row"] = [table.points(row) for row in range(len(table))]
        cells["margin_row"] = [table.margins(row) for row in range(len(table))]
        cells["member_row"] = [table.members(row) for row in range(len(table))]
    return cells


def everything(outputs: list[tp.Output]) -> tuple[list[tuple[str, ...]], ...]:
    """All bars and all detections, every column, in order, as text: NaN equals NaN there, and nothing else does."""
    return cells_of([output.bars for output in outputs]), cells_of([output.detections for output in outputs])


def cells_of(tables: list[Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for table in tables:
        names = [table.symbols[index] for index in table.symbol.tolist()]
        values = columns(table) | {"symbol": names}
        rows.extend(tuple(map(repr, row)) for row in zip(*values.values(), strict=True))
    return rows


def in_pieces(calls: list[Call], sizes: list[int]) -> list[Call]:
    """The same calls, each batch cut into pieces of the given sizes, over and over."""
    pieces: list[Call] = []
    turn = 0
    for call in calls:
        if not isinstance(call, Ingest):
            pieces.append(call)
            continue
        rest = call.payloads
        while rest:
            size = sizes[turn % len(sizes)]
            turn += 1
            pieces.append(replace(call, payloads=rest[:size]))
            rest = rest[size:]
    return pieces


def resp(channel: str, payload: bytes) -> bytes:
    words = (b"message", channel.encode(), payload)
    return b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


@settings(max_examples=2 * settings().max_examples)
@given(rules(), feeds())
def test_engine_equals_oracle(rules: Rules, calls: list[Call]) -> None:
    calls = [*calls, Flush()]
    engine = engine_of(rules)
    oracle = judged(rules, calls)
    assert_same_rows(emitted(engine, calls), oracle.emitted)
    assert counted(engine) == oracle.counters()
    assert engine.event_time_us() == oracle.event_time_us()
    assert sorted(engine.symbols()) == sorted(oracle.heard)


@given(rules(), feeds())
def test_what_numbers_and_volumes_say_is_missing_is_what_the_oracle_finds(rules: Rules, calls: list[Call]) -> None:
    calls = [*calls, Flush()]
    outputs, oracle = played(engine_of(rules), calls), judged(rules, calls)
    assert sorted(short for output in outputs for short in output.short) == sorted(oracle.short)
    ticks, missing = Counter[str](), Counter[str]()
    for name, count, _, _ in (jump for output in outputs for jump in output.jumps):
        ticks[name] += count
    for name, count, _, _ in oracle.jumps:
        missing[name] += count
    assert ticks == missing


@given(rules(), feeds())
def test_open_bars_equal_the_oracles_at_any_moment(rules: Rules, calls: list[Call]) -> None:
    engine = engine_of(rules)
    played(engine, calls)
    open_bars = sorted(rows_of(engine.provisional().bars))
    assert_same_rows(open_bars, sorted(judged(rules, calls).provisional()))
    assert counted(engine) == judged(rules, calls).counters()


@given(rules(), feeds())
def test_every_tick_is_accounted_for_after_every_call(rules: Rules, calls: list[Call]) -> None:
    engine = engine_of(rules)
    for call in calls:
        played(engine, [call])
        assert unaccounted(engine.counters()) == 0
        assert all(count >= 0 for count in engine.counters().values())


@given(rules(), feeds(), st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_batch_size_does_not_matter(rules: Rules, calls: list[Call], sizes: list[int]) -> None:
    whole, cut = engine_of(rules), engine_of(rules)
    assert everything(played(whole, calls)) == everything(played(cut, in_pieces(calls, sizes)))
    assert whole.counters() == cut.counters()


@given(rules(), feeds())
def test_an_array_is_as_good_as_its_elements(rules: Rules, calls: list[Call]) -> None:
    arrays, singles = engine_of(rules), engine_of(rules)
    assert everything(played(arrays, calls)) == everything(played(singles, exploded(calls)))
    without_messages = [{**engine.counters(), "messages": 0} for engine in (arrays, singles)]
    assert without_messages[0] == without_messages[1]


@given(feeds(), st.integers(20, 4000))
def test_frames_off_the_socket_are_as_good_as_payloads(calls: list[Call], cut: int) -> None:
    rules = Rules()
    by_payload, by_frame = engine_of(rules), engine_of(rules)
    framer = tp.Framer(list(rules.channels))
    expected: list[tp.Output] = []
    got: list[tp.Output] = []
    for call in calls:
        expected.extend(played(by_payload, [call]))
        if not isinstance(call, Ingest):
            got.extend(played(by_frame, [call]))
            continue
        raw = b"".join(resp(rules.channels[call.channel], payload) for payload in call.payloads)
        chunks = [raw[at : at + cut] for at in range(0, len(raw), cut)]
        got.extend(by_frame.ingest_frames(framer.feed(chunk), call.now_us) for chunk in chunks)
    assert everything(got) == everything(expected)
    assert by_frame.counters() == by_payload.counters()


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 400)), min_size=1, max_size=30))
def test_frames_of_many_channels_are_taken_in_the_order_of_arrival(ticks: list[tuple[int, int]]) -> None:
    rules = Rules(lateness_a_s=0.0)
    by_payload, by_frame = engine_of(rules), engine_of(rules)
    messages = [(channel, encoded(message(ts_us=T0 + second * SECOND, price=second))) for channel, second in ticks]
    now_us = T0 + 15 * MINUTE
    expected = [by_payload.ingest([payload], now_us, channel) for channel, payload in messages]
    raw = b"".join(resp(rules.channels[channel], payload) for channel, payload in messages)
    got = [by_frame.ingest_frames(tp.Framer(list(rules.channels)).feed(raw), now_us)]
    assert everything(got) == everything(expected)
    assert by_frame.counters() == by_payload.counters()


@given(rules(), feeds())
def test_every_row_holds_together(rules: Rules, calls: list[Call]) -> None:
    for row in emitted(engine_of(rules), [*calls, Flush()]):
        assert row.low <= min(row.open, row.close) <= max(row.open, row.close) <= row.high
        assert row.open_us <= row.close_us
        assert row.trades > row.revision >= 0


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b"\x00" * 70_000])
def test_nothing_is_made_of_nothing(payload: bytes) -> None:
    output = engine_of(Rules()).ingest([payload], T0)
    assert len(output.bars) == len(output.detections) == 0
