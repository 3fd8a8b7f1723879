"""When an event may leave, and which one: logic alone, on a clock that only moves when told."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import appv2_readers as appv2
from event_samples import MINUTE_US, event
from tickstockpl.pacing import Cadence, FeedTime, Outbox, Pacer
from tickstockpl.wire import Event, Expiry

T0_US = 1_757_600_460_000_000
RATE = 80.0


def sends(pacer: Pacer, pauses_s: list[float], late_s: float = 0.0) -> list[float]:
    """When each event left, if after each pause all that may leave does, and Redis answers `late_s` afterwards."""
    now_s, left = 1000.0, []
    for pause_s in pauses_s:
        now_s += pause_s
        count = pacer.allowed(now_s)
        left += [now_s] * count
        now_s += late_s
        pacer.sent(count, now_s)
    return left


@given(
    rate=st.sampled_from([80.0, 50.0, 4.0, 1.0, 0.5, 200.0]),
    pauses_s=st.lists(st.floats(0, 0.4), min_size=1, max_size=300),
    late_s=st.floats(0, 0.01),
)
def test_no_window_of_250_ms_holds_more_than_a_quarter_of_the_rate(
    rate: float, pauses_s: list[float], late_s: float
) -> None:
    left = sends(Pacer(rate), pauses_s, late_s)
    most = max(1, int(rate * 0.25))
    assert all(left[n + most] - left[n] >= 0.25 for n in range(len(left) - most))


@given(pauses_s=st.lists(st.floats(0, 0.4), min_size=1, max_size=300))
def test_rate_holds_over_any_span_but_for_one_small_burst(pauses_s: list[float]) -> None:
    left = sends(Pacer(RATE), pauses_s)
    assert all(len(left) - first <= RATE * (left[-1] - at_s) + 4 + 1e-3 for first, at_s in enumerate(left))


@pytest.mark.parametrize("rate", [80.0, 20.0, 3.0, 0.5])
def test_whole_rate_is_reached_by_one_who_waits_as_told(rate: float) -> None:
    pacer, now_s, count = Pacer(rate), 0.0, 0
    while now_s < 100.0:
        pacer.sent(1, now_s)
        count += 1
        now_s += pacer.wait_s(now_s)
    assert rate * 100 - 1 <= count <= rate * 100 + 5


def test_appv2_shows_every_one_of_300_paced_events_and_only_20_of_a_burst() -> None:
    pacer, now_s, left = Pacer(RATE), 0.0, []
    for _ in range(300):
        now_s += pacer.wait_s(now_s)
        pacer.sent(1, now_s)
        left.append(now_s)
    assert appv2.shown(left) == 300
    assert appv2.shown([0.0] * 300) == 20


def test_first_burst_does_not_come_back_so_a_slower_rate_survives_a_slower_flush() -> None:
    pacer, now_s, left = Pacer(72.0), 0.0, []
    for _ in range(2000):
        now_s += pacer.wait_s(now_s)
        pacer.sent(1, now_s)
        left.append(now_s)
    assert appv2.shown(left, flush_s=0.26) == 2000


def test_waiting_is_never_asked_for_while_sending_is_allowed() -> None:
    pacer = Pacer(RATE)
    assert (pacer.allowed(5.0), pacer.wait_s(5.0)) == (4, 0.0)
    pacer.sent(4, 5.0)
    assert pacer.allowed(5.0) == 0
    assert pacer.wait_s(5.0) == pytest.approx(1 / RATE)


symbols = st.sampled_from(["A", "B", "C", "D"])
arrivals = st.lists(st.tuples(symbols, st.integers(0, 3), st.sampled_from([0.6, 0.7, 0.8, 0.9])), max_size=40)


def made(rows: list[tuple[str, int, float]]) -> list[Event]:
    return [event(s, bar_end_us=T0_US + minute * MINUTE_US, confidence=c) for s, minute, c in rows]


def drained(outbox: Outbox, chunk: int = 3, now_s: float = 0.0) -> list[Event]:
    taken = []
    while items := outbox.take(chunk, now_s):
        taken += [item.event for item in items]
    return taken


@given(rows=arrivals, chunk=st.integers(1, 7))
def test_order_is_oldest_bar_then_best_confidence_but_a_symbols_own_events_as_they_came(
    rows: list[tuple[str, int, float]], chunk: int
) -> None:
    outbox, events = Outbox(1000, 60.0), made(rows)
    outbox.add(events, 0.0)
    waiting: dict[tuple[int, str], list[Event]] = defaultdict(list)
    for one in events:
        waiting[one.bar_end_us, one.symbol].append(one)
    for one in drained(outbox, chunk):
        heads = [queue[0] for queue in waiting.values() if queue]
        assert one in heads
        assert (one.bar_end_us, -one.confidence) == min((head.bar_end_us, -head.confidence) for head in heads)
        waiting[one.bar_end_us, one.symbol].pop(0)
    assert not any(waiting.values())
    assert len(outbox) == 0


@settings(max_examples=50)
@given(rows=arrivals, failures=st.lists(st.integers(0, 5), max_size=20), data=st.data())
def test_what_could_not_be_sent_comes_next_in_the_same_order(
    rows: list[tuple[str, int, float]], failures: list[int], data: st.DataObject
) -> None:
    events = made(rows)
    calm, stormy = Outbox(1000, 60.0), Outbox(1000, 60.0)
    calm.add(events, 0.0)
    stormy.add(events, 0.0)
    sent = []
    for count in failures:
        items = stormy.take(count, 0.0)
        kept = data.draw(st.integers(0, len(items)))
        sent += [item.event for item in items[:kept]]
        stormy.put_back(items[kept:], 0.0)
    assert sent + drained(stormy) == drained(calm)


@given(rows=arrivals, moments=st.lists(st.floats(0, 30), min_size=1, max_size=5))
def test_unsent_events_expire_and_every_event_is_accounted_for(
    rows: list[tuple[str, int, float]], moments: list[float]
) -> None:
    outbox, now_s, sent = Outbox(1000, 60.0), 0.0, 0
    for moment in moments:
        now_s += moment
        outbox.add(made(rows), now_s)
        items = outbox.take(5, now_s)
        outbox.put_back(items[2:], now_s)
        sent += len(items[:2])
    outbox.expire(now_s + 59.999)
    assert sent + len(outbox) + outbox.expired == len(rows) * len(moments)
    outbox.expire(now_s + 60.001)
    assert (sent + outbox.expired, len(outbox)) == (len(rows) * len(moments), 0)


def test_an_event_that_expired_in_flight_is_not_put_back() -> None:
    outbox = Outbox(10, 60.0)
    outbox.add([event()], 0.0)
    items = outbox.take(1, 59.0)
    outbox.put_back(items, 60.0)
    assert (len(outbox), outbox.expired, outbox.take(1, 60.0)) == (0, 1, [])


def test_an_event_withdrawn_before_it_was_sent_is_never_sent() -> None:
    outbox = Outbox(capacity=10, expire_s=60)
    first, second, other = event(), event(), event("ZZTEST2")
    outbox.add([first, second, other], now_s=0)
    for found in (first, second, first):
        outbox.withdraw(Expiry(found.event_id, found.symbol, found.pattern, found.bar_end_us))
    assert (len(outbox), outbox.withdrawn) == (1, 2)
    assert [item.event for item in outbox.take(10, now_s=1)] == [other]


def test_over_capacity_the_newest_and_least_confident_are_dropped_and_counted() -> None:
    outbox = Outbox(100, 60.0)
    old = [event(f"OLD{n}", confidence=0.6) for n in range(60)]
    new = [event(f"NEW{n}", bar_end_us=T0_US + MINUTE_US, confidence=0.6 + n / 1000) for n in range(60)]
    outbox.add([*new, *old], 0.0)
    assert (len(outbox), outbox.dropped) == (90, 30)
    assert [one.symbol for one in drained(outbox)] == [one.symbol for one in [*old, *reversed(new[30:])]]


def test_fresh_event_is_news_and_a_revisions_only_within_2_minutes_of_the_feed() -> None:
    feed = FeedTime(120_000_000)
    delayed_now_us = T0_US + 15 * MINUTE_US
    assert not feed.is_history(event(bar_end_us=T0_US), delayed_now_us, 0.0)
    revised = event(bar_end_us=T0_US - MINUTE_US, revision=1)
    assert not feed.is_history(revised, delayed_now_us, 60.0)
    assert feed.is_history(revised, delayed_now_us, 60.001)
    assert not feed.is_history(event(bar_end_us=T0_US - 100 * MINUTE_US), delayed_now_us, 61.0)


def test_before_any_fresh_event_a_revision_is_measured_by_the_wall_clock() -> None:
    assert FeedTime(120_000_000).is_history(event(revision=1), T0_US + 121_000_000, 0.0)
    assert not FeedTime(120_000_000).is_history(event(revision=1), T0_US + 120_000_000, 0.0)


def test_job_is_due_at_once_then_once_a_period_and_when_hastened() -> None:
    cadence = Cadence()
    assert cadence.is_due("pulse", 5.0, 100.0)
    assert not cadence.is_due("pulse", 5.0, 104.9)
    assert cadence.next_s() == 105.0
    cadence.hasten("pulse")
    assert cadence.is_due("pulse", 5.0, 104.9)
