"""When an event may leave, and which one: logic alone, on a clock that only moves when told."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import appv2_readers as appv2
from event_samples import MINUTE_US, event
from event_samples import events as columns
from tickstockpl.events import Event, Expiry
from tickstockpl.outbox import Outbox, gathered
from tickstockpl.outbox import Waiting as Item
from tickstockpl.pacing import Cadence, FeedTime, Pacer

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


@pytest.mark.parametrize(("rate", "burst"), [(0.5, 1), (12.0, 3), (80.0, 4), (1000.0, 50), (1e6, 4000)])
def test_a_burst_is_what_the_rate_allows_in_50_ms(rate: float, burst: int) -> None:
    assert Pacer(rate).allowed(0.0) == burst


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
bulks = st.sampled_from([1, 2, 64])
"""From how many events on an arrival waits as columns: always, sometimes, never in these tests."""
arrivals = st.lists(st.tuples(symbols, st.integers(0, 3), st.sampled_from([0.6, 0.7, 0.8, 0.9])), max_size=40)


def made(rows: list[tuple[str, int, float]]) -> list[Event]:
    return [event(s, bar_end_us=T0_US + minute * MINUTE_US, confidence=c) for s, minute, c in rows]


def events_of(items: Sequence[Item]) -> list[Event]:
    return [one for together in gathered(items, 3) for one in together]


def expiry(one: Event) -> Expiry:
    return Expiry(one.event_id, one.symbol, one.pattern, one.bar_end_us)


def drained(outbox: Outbox, chunk: int = 3, now_s: float = 0.0) -> list[Event]:
    taken = []
    while items := outbox.take(chunk, now_s):
        taken += events_of(items)
    return taken


@given(rows=arrivals, chunk=st.integers(1, 7), bulk=bulks)
def test_order_is_oldest_bar_then_best_confidence_but_a_symbols_own_events_as_they_came(
    rows: list[tuple[str, int, float]], chunk: int, bulk: int
) -> None:
    outbox, events = Outbox(1000, 60.0, bulk=bulk), made(rows)
    outbox.add(columns(*events), 0.0)
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
@given(rows=arrivals, failures=st.lists(st.integers(0, 5), max_size=20), bulk=bulks, data=st.data())
def test_what_could_not_be_sent_comes_next_in_the_same_order(
    rows: list[tuple[str, int, float]], failures: list[int], bulk: int, data: st.DataObject
) -> None:
    events = made(rows)
    calm, stormy = Outbox(1000, 60.0), Outbox(1000, 60.0, bulk=bulk)
    calm.add(columns(*events), 0.0)
    stormy.add(columns(*events), 0.0)
    sent = []
    for count in failures:
        items = stormy.take(count, 0.0)
        kept = data.draw(st.integers(0, len(items)))
        sent += events_of(items[:kept])
        stormy.put_back(items[kept:], 0.0)
    assert sent + drained(stormy) == drained(calm)


@given(lots=st.lists(arrivals, min_size=1, max_size=4), failures=st.lists(st.integers(0, 5), max_size=6), bulk=bulks)
def test_what_waits_is_sent_by_another_outbox_in_the_same_order(
    lots: list[list[tuple[str, int, float]]], failures: list[int], bulk: int
) -> None:
    first, second = Outbox(1000, 60.0, bulk=bulk), Outbox(1000, 60.0, bulk=bulk)
    for now_s, rows in enumerate(lots):
        first.add(columns(*made(rows)), float(now_s))
    for count in failures:
        first.put_back(first.take(count, 9.0)[count // 2 :], 9.0)
    for arrived_s, events in first.waiting():
        second.add(events, arrived_s)
    assert len(second) == len(first)
    assert drained(second, now_s=59.5) == drained(first, now_s=59.5)
    assert (first.waiting(), second.expired) == ([], first.expired)


@given(rows=arrivals, moments=st.lists(st.floats(0, 30), min_size=1, max_size=5), bulk=bulks)
def test_unsent_events_expire_and_every_event_is_accounted_for(
    rows: list[tuple[str, int, float]], moments: list[float], bulk: int
) -> None:
    outbox, now_s, sent = Outbox(1000, 60.0, bulk=bulk), 0.0, 0
    for moment in moments:
        now_s += moment
        outbox.add(columns(*made(rows)), now_s)
        items = outbox.take(5, now_s)
        outbox.put_back(items[2:], now_s)
        sent += len(items[:2])
    outbox.expire(now_s + 59.999)
    assert sent + len(outbox) + outbox.expired == len(rows) * len(moments)
    outbox.expire(now_s + 60.001)
    assert (sent + outbox.expired, len(outbox)) == (len(rows) * len(moments), 0)


@pytest.mark.parametrize("bulk", [1, 64])
def test_an_event_that_expired_in_flight_is_not_put_back(bulk: int) -> None:
    outbox = Outbox(10, 60.0, bulk=bulk)
    outbox.add(columns(event()), 0.0)
    items = outbox.take(1, 59.0)
    outbox.put_back(items, 60.0)
    assert (len(outbox), outbox.expired, outbox.take(1, 60.0)) == (0, 1, [])


def test_what_is_in_flight_is_not_settled() -> None:
    outbox = Outbox(10, 60.0)
    outbox.add(columns(event("ZZ1"), event("ZZ2"), event("ZZ3")), 0.0)
    items = outbox.take(2, 1.0)
    assert (len(outbox), outbox.unsettled) == (1, 3)
    outbox.put_back(items[1:], 2.0)
    assert (len(outbox), outbox.unsettled) == (2, 2)


@pytest.mark.parametrize("bulk", [1, 64])
def test_an_event_withdrawn_before_it_was_sent_is_never_sent(bulk: int) -> None:
    outbox = Outbox(capacity=10, expire_s=60, bulk=bulk)
    first, second, other = event(), event(), event("ZZTEST2")
    outbox.add(columns(first, second, other), now_s=0)
    for found in (first, second, first):
        outbox.withdraw(expiry(found))
    assert (len(outbox), outbox.withdrawn) == (1, 2)
    assert events_of(outbox.take(10, now_s=1)) == [other]


@pytest.mark.parametrize("bulk", [1, 64])
def test_an_event_withdrawn_in_flight_is_not_put_back_and_counts_only_if_it_was_not_sent(bulk: int) -> None:
    outbox = Outbox(capacity=10, expire_s=60, bulk=bulk)
    refused, sent, other = event(confidence=0.9), event("ZZTEST2"), event("ZZTEST3", confidence=0.7)
    outbox.add(columns(refused, sent, other), now_s=0)
    items = outbox.take(2, now_s=0)
    for one in (refused, sent):
        outbox.withdraw(expiry(one))
    outbox.put_back(items[:1], now_s=1)
    assert (len(outbox), outbox.withdrawn) == (1, 1)
    assert events_of(outbox.take(10, now_s=1)) == [other]


@pytest.mark.parametrize("bulk", [1, 1000])
def test_over_capacity_the_newest_and_least_confident_are_dropped_and_counted(bulk: int) -> None:
    outbox = Outbox(100, 60.0, bulk=bulk)
    old = [event(f"OLD{n}", confidence=0.6) for n in range(60)]
    new = [event(f"NEW{n}", bar_end_us=T0_US + MINUTE_US, confidence=0.6 + n / 1000) for n in range(60)]
    outbox.add(columns(*new, *old), 0.0)
    assert (len(outbox), outbox.dropped) == (90, 30)
    assert [one.symbol for one in drained(outbox)] == [one.symbol for one in [*old, *reversed(new[30:])]]


Waiting = tuple[tuple[int, float, int], float, Event]
"""(END of the bar, minus confidence, order of arrival), when it came, the event."""


class OneByOne:
    """The outbox that a reader can check: a list of everything, sorted out anew for each question."""

    def __init__(self, capacity: int, expire_s: float) -> None:
        self._capacity, self._expire_s = capacity, expire_s
        self._waiting: list[Waiting] = []
        self._withdrawn_in_flight: set[str] = set()
        self._order = 0
        self.expired = self.dropped = self.withdrawn = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, events: list[Event], now_s: float) -> None:
        for one in events:
            self._order += 1
            self._waiting.append(((one.bar_end_us, -one.confidence, self._order), now_s, one))
        if len(self._waiting) > self._capacity:
            kept = sorted(self._waiting, key=lambda item: item[0])[: self._capacity - self._capacity // 10]
            self.dropped += len(self._waiting) - len(kept)
            self._waiting = [item for item in self._waiting if item in kept]

    def take(self, count: int, now_s: float) -> list[Waiting]:
        self.expire(now_s)
        self._withdrawn_in_flight = set()
        taken: list[Waiting] = []
        while self._waiting and len(taken) < count:
            heads: dict[tuple[int, str], Waiting] = {}
            for item in self._waiting:
                heads.setdefault((item[2].bar_end_us, item[2].symbol), item)
            taken.append(min(heads.values(), key=lambda item: item[0]))
            self._waiting.remove(taken[-1])
        return taken

    def put_back(self, items: list[Waiting], now_s: float) -> None:
        wanted = [item for item in items if item[2].event_id not in self._withdrawn_in_flight]
        self.withdrawn += len(items) - len(wanted)
        fresh = [item for item in wanted if now_s - item[1] < self._expire_s]
        self.expired += len(wanted) - len(fresh)
        self._waiting = fresh + self._waiting

    def expire(self, now_s: float) -> None:
        kept = [item for item in self._waiting if now_s - item[1] < self._expire_s]
        self.expired += len(self._waiting) - len(kept)
        self._waiting = kept

    def withdraw(self, event_id: str) -> None:
        kept = [item for item in self._waiting if item[2].event_id != event_id]
        self.withdrawn += len(self._waiting) - len(kept)
        self._waiting = kept
        self._withdrawn_in_flight.add(event_id)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), arrivals),
        st.tuples(
            st.just("take"),
            st.tuples(
                st.integers(0, 9), st.integers(0, 3), st.lists(st.integers(0, 1000), max_size=3), st.floats(0, 9)
            ),
        ),
        st.tuples(st.just("wait"), st.floats(0, 25)),
        st.tuples(st.just("withdraw"), st.integers(0, 1000)),
    ),
    max_size=30,
)


@given(script=steps, capacity=st.sampled_from([8, 30, 1000]), bulk=bulks)
def test_whatever_happens_it_says_what_a_list_of_everything_would_say(
    script: list[tuple[str, Any]], capacity: int, bulk: int
) -> None:
    outbox, plain = Outbox(capacity, 60.0, bulk=bulk), OneByOne(capacity, 60.0)
    known: list[Event] = []
    now_s = 0.0
    for act, value in script:
        if act == "add":
            events = made(value)
            known += events
            outbox.add(columns(*events), now_s)
            plain.add(events, now_s)
        elif act == "take":
            count, refused, withdrawn, flight_s = value
            mine, expected = outbox.take(count, now_s), plain.take(count, now_s)
            assert events_of(mine) == [item[2] for item in expected]
            for gone in (known[n % len(known)] for n in withdrawn if known):
                outbox.withdraw(expiry(gone))
                plain.withdraw(gone.event_id)
            now_s += flight_s
            outbox.put_back(mine[len(mine) - refused :], now_s)
            plain.put_back(expected[len(expected) - refused :], now_s)
        elif act == "wait":
            now_s += value
        elif known:
            gone = known[value % len(known)]
            outbox.withdraw(expiry(gone))
            plain.withdraw(gone.event_id)
        counts = (len(outbox), outbox.expired, outbox.dropped, outbox.withdrawn)
        assert counts == (len(plain), plain.expired, plain.dropped, plain.withdrawn)
    assert drained(outbox, now_s=now_s) == [item[2] for item in plain.take(10_000, now_s)]


def is_history(feed: FeedTime, one: Event, now_us: int, now_s: float) -> bool:
    return bool(feed.history(columns(one), now_us, now_s)[0])


def test_fresh_event_is_news_and_a_revisions_only_within_2_minutes_of_the_feed() -> None:
    feed = FeedTime(120_000_000)
    delayed_now_us = T0_US + 15 * MINUTE_US
    assert not is_history(feed, event(bar_end_us=T0_US), delayed_now_us, 0.0)
    revised = event(bar_end_us=T0_US - MINUTE_US, revision=1)
    assert not is_history(feed, revised, delayed_now_us, 60.0)
    assert is_history(feed, revised, delayed_now_us, 60.001)
    assert not is_history(feed, event(bar_end_us=T0_US - 100 * MINUTE_US), delayed_now_us, 61.0)


def test_before_any_fresh_event_a_revision_is_measured_by_the_wall_clock() -> None:
    assert is_history(FeedTime(120_000_000), event(revision=1), T0_US + 121_000_000, 0.0)
    assert not is_history(FeedTime(120_000_000), event(revision=1), T0_US + 120_000_000, 0.0)


def test_job_is_due_at_once_then_once_a_period_and_when_hastened() -> None:
    cadence = Cadence()
    assert cadence.is_due("pulse", 5.0, 100.0)
    assert not cadence.is_due("pulse", 5.0, 104.9)
    assert cadence.next_s() == 105.0
    cadence.hasten("pulse")
    assert cadence.is_due("pulse", 5.0, 104.9)
