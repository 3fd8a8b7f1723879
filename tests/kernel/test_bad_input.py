"""Bad input of every kind, 1 % of a stream: counted by reason, and every good tick still folded."""

import random
from collections import Counter

import pytest

from oracle import MINUTE, SECOND, Rules
from rows import assert_same_rows, emitted, engine_of, unaccounted
from strategies import BAD, T0, Call, Flush, Ingest, encoded, message

SYMBOLS = ("AAPL", "MSFT", "IBM", "SPY")
SECONDS = 600


def good_stream() -> list[tuple[int, bytes]]:
    """(our clock, message): ten minutes of second aggregates for four symbols, seeded."""
    market = random.Random(20131007)
    stream = []
    for second in range(1, SECONDS + 1):
        for symbol in SYMBOLS:
            ts_us = T0 + second * SECOND
            price = round(100 + market.gauss(0, 1), 2)
            stream.append(
                (ts_us, encoded(message(symbol, ts_us, "A", price, market.randrange(1, 500), tick_vwap=price)))
            )
    return stream


def engines_own(now_us: int) -> list[tuple[str, bytes]]:
    """What only the engine can refuse: it has a clock, an event time and a cap."""
    return [
        ("refused_future", encoded(message("AAPL", now_us + 6 * SECOND))),
        ("refused_future", encoded(message("AAPL", now_us + 40 * 365 * 1440 * MINUTE))),
        ("refused_symbol_cap", encoded(message("FIFTH", now_us))),
        ("too_late", encoded(message("AAPL", now_us - 16 * MINUTE))),
        ("quotes", encoded(message("AAPL", now_us, "Q", tick_volume=None))),
        ("repeats", encoded(message("AAPL", now_us - 2 * SECOND))),
        ("other_kind", encoded(message("AAPL", now_us, "T"))),
    ]


def salted(stream: list[tuple[int, bytes]]) -> tuple[list[tuple[int, bytes]], Counter[str]]:
    """The stream with 1 % of bad messages strewn in, and how often each must be counted."""
    market = random.Random(4)
    kinds = [(f"refused_{reason}", payload) for reason in BAD for payload in BAD[reason]]
    market.shuffle(kinds)
    mixed: list[tuple[int, bytes]] = []
    expected: Counter[str] = Counter()
    bad = 0
    for number, (now_us, payload) in enumerate(stream, 1):
        mixed.append((now_us, payload))
        if number > 100 * len(SYMBOLS) and number % 100 == 0:
            own = engines_own(now_us)
            every = kinds + own
            name, broken = every[bad % len(every)] if bad % 2 else own[bad // 2 % len(own)]
            mixed.append((now_us, broken))
            expected[name] += 1
            bad += 1
    return mixed, expected


def as_calls(stream: list[tuple[int, bytes]]) -> list[Call]:
    return [*(Ingest((payload,), now_us, 0) for now_us, payload in stream), Flush()]


def test_one_percent_of_bad_input_changes_no_bar_and_is_counted_by_reason() -> None:
    good = good_stream()
    mixed, expected = salted(good)
    rules = Rules(max_symbols=len(SYMBOLS))
    clean, dirty = engine_of(rules), engine_of(rules)
    assert_same_rows(emitted(dirty, as_calls(mixed)), emitted(clean, as_calls(good)))
    counters = dirty.counters()
    assert counters["folded"] == clean.counters()["folded"] == len(good)
    assert {name: count for name, count in counters.items() if name in expected} == expected
    assert unaccounted(counters) == 0


@pytest.mark.parametrize("reason", sorted(BAD))
def test_bad_messages_of_one_kind_change_no_bar_and_are_counted(reason: str) -> None:
    good = good_stream()[: 120 * len(SYMBOLS)]
    strewn = [
        item for number, item in enumerate(good) for item in (item, (item[0], BAD[reason][number % len(BAD[reason])]))
    ]
    clean, dirty = engine_of(Rules()), engine_of(Rules())
    assert_same_rows(emitted(dirty, as_calls(strewn)), emitted(clean, as_calls(good)))
    assert dirty.counters()[f"refused_{reason}"] == len(good)
    assert dirty.counters()["folded"] == len(good)


def test_a_far_future_stamp_on_a_delayed_feed_is_held_and_refused() -> None:
    """Our clock is 15 minutes ahead of such a feed, so the 5-second rule cannot see a stamp 10 minutes off."""
    good = [(now_us + 15 * MINUTE, payload) for now_us, payload in good_stream()]
    mixed = []
    for number, (now_us, payload) in enumerate(good):
        mixed.append((now_us, payload))
        if number % 100 == 50:
            mixed.append((now_us, encoded(message("AAPL", now_us - 5 * MINUTE))))
    clean, dirty = engine_of(Rules()), engine_of(Rules())
    assert_same_rows(emitted(dirty, as_calls(mixed)), emitted(clean, as_calls(good)))
    assert dirty.counters()["refused_ahead_of_feed"] == len(mixed) - len(good)


def test_a_bad_element_harms_only_itself_in_an_array() -> None:
    good = good_stream()[:400]
    arrays = [
        (good[at][0], b"[" + b",".join(payload for _, payload in good[at : at + 4]) + b',{"price":true},null]')
        for at in range(0, len(good), 4)
    ]
    clean, dirty = engine_of(Rules()), engine_of(Rules())
    assert_same_rows(emitted(dirty, as_calls(arrays)), emitted(clean, as_calls(good)))
    assert dirty.counters()["refused_missing_field"] == dirty.counters()["refused_not_an_object"] == len(arrays)


def test_each_call_gives_a_sample_of_what_it_refused() -> None:
    output = engine_of(Rules()).ingest([b"{", b"{{", b"7", b"x" * 300], T0)
    assert [(reason, channel) for reason, channel, _ in output.refused] == [
        ("bad_json", "data.raw"),
        ("not_an_object", "data.raw"),
    ]
    assert output.refused[0][2] == b"{"
    assert all(len(payload) <= 200 for _, _, payload in output.refused)


def test_a_too_late_tick_comes_back_as_a_dead_letter() -> None:
    engine = engine_of(Rules())
    engine.ingest([encoded(message("MSFT", T0))], T0)
    late = encoded(message("AAPL", T0 - 60 * MINUTE))
    output = engine.ingest([late], T0)
    assert output.dead == [("AAPL", "data.raw", T0 - 60 * MINUTE, late)]
    in_array = b"[" + encoded(message("MSFT", T0)) + b", " + late + b"]"
    assert engine.ingest([in_array], T0).dead == [("AAPL", "data.raw", T0 - 60 * MINUTE, late)]
