"""The schedule, which tick closes which bar, and that the seed's service does what it claims; without servers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benches import instructions, ticks
from benches.course import Course, Feed, Heard, evenly, real_time
from benches.seed import Seed, warm_up, windows

SYMBOLS = 20


class Recorder:
    """Where a service publishes."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def publish(self, _: str, payload: str) -> None:
        self.events.append(json.loads(payload))


@pytest.fixture(scope="module")
def feed() -> Feed:
    return Feed(ticks.messages(SYMBOLS, 3)[0])


@pytest.fixture
def seed(tmp_path: Path, feed: Feed) -> Seed:
    """The peer, after its service took the feed in."""
    pytest.importorskip("talib", reason="the seed's service calls TA-Lib: install ta-lib (requirements.lock)")
    from benches.seed_service import SeedService

    history, (_, truth) = warm_up(SYMBOLS), ticks.messages(SYMBOLS, 3)
    peer = Seed(tmp_path, history, truth)
    recorder = Recorder()
    service = SeedService(recorder, dict(zip(history.symbols, windows(history), strict=True)))
    service.start()
    for payload in feed.payloads:
        service.fold(json.loads(payload))
    service.finish()
    peer.made.write_text(json.dumps(service.made()), encoding="utf-8")
    assert len(recorder.events) == len(service.published)
    return peer


def test_the_seeds_bars_are_the_simulators_and_its_events_are_talibs(seed: Seed, feed: Feed) -> None:
    published = seed.check(feed)
    assert len(published) > SYMBOLS
    assert f"{3 * SYMBOLS} bars equal the simulator's" in seed.agreement
    assert f"its {len(published)} events are the hits" in seed.agreement


def test_a_wrong_bar_of_the_seed_is_found(seed: Seed, feed: Feed) -> None:
    made = json.loads(seed.made.read_text(encoding="utf-8"))
    made["closed"][7]["close"] += 0.01
    seed.made.write_text(json.dumps(made), encoding="utf-8")
    with pytest.raises(AssertionError, match="every bar is the simulator's"):
        seed.check(feed)


def test_a_wrong_event_of_the_seed_is_found(seed: Seed, feed: Feed) -> None:
    made = json.loads(seed.made.read_text(encoding="utf-8"))
    made["published"][3][3] *= -1
    seed.made.write_text(json.dumps(made), encoding="utf-8")
    with pytest.raises(AssertionError, match="1 of"):
        seed.check(feed)


def test_our_service_closes_a_minute_at_the_first_tick_two_seconds_after_it(feed: Feed) -> None:
    stamps = feed.columns.ts_us
    closes = feed.closed_by_feed()
    first_end = ticks.START_US // 1_000_000 + 60
    assert sorted(closes) == [first_end, first_end + 60], "no tick closes the last minute"
    for end, at in closes.items():
        assert stamps[at] >= (end + 2) * 1_000_000 > stamps[:at].max()


def test_the_seed_closes_a_bar_at_its_symbols_first_tick_of_the_next_minute(feed: Feed) -> None:
    closes = feed.closed_by_symbol()
    assert len(closes) == 2 * SYMBOLS
    for (symbol, end), at in closes.items():
        own = [n for n in range(at + 1) if feed.columns.symbols[int(feed.columns.symbol[n])] == symbol]
        assert own[-1] == at
        assert feed.end_s[at] > end == feed.end_s[own[-2]]


def test_an_even_schedule_has_a_piece_each_millisecond() -> None:
    due_s = evenly(10_000, 5000)
    assert due_s[-1] == pytest.approx(2, abs=0.002)
    assert np.unique(due_s[:50]).tolist() == pytest.approx([0.001 * n for n in range(10)])


def test_real_time_begins_where_it_is_told_and_keeps_the_feeds_seconds(feed: Feed) -> None:
    due_s, early = real_time(feed, 60, 1000)
    assert (feed.columns.ts_us[:early] <= ticks.START_US + 60_000_000).all()
    assert (np.diff(due_s) >= 0).all()
    due_in = np.floor(due_s[early:] - early / 1000 + 1e-9)
    assert due_in.tolist() == ((feed.columns.ts_us[early:] - ticks.START_US) // 1_000_000 - 61).tolist()


def test_a_delay_counts_from_when_the_closing_tick_was_due_however_late_it_was_sent(tmp_path: Path) -> None:
    feed = Feed(ticks.messages(2, 1)[0][:4])
    course = Course("redis://nowhere", tmp_path, feed, np.array([0.0, 1.0, 2.0, 3.0]), counted_from=1)
    heard = Heard(np.array([100.5, 101.25, 103.0, 109.0]), [{}] * 4)
    delays = course.delays(heard, 100.0, [0, 1, 2, None])
    assert delays.ms.tolist() == [250.0, 1000.0]
    assert delays.left_out == 2, "one before it counts, one that no tick closed"


def test_a_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert [line.split()[0] for line in instructions.missing()] == ["valgrind", "cargo"]
    assert instructions.run(False) == []
