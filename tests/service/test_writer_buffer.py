"""The backlog between the stages and the database; no server needed."""

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bar_samples import MINUTE_US, NINE_30_US, bars, event, versions
from event_samples import events
from reading_samples import readings
from tickstockpl.backlog import OVERFLOW, PARTS, ROW_BYTES, Allowance, Backlog
from tickstockpl.errors import ServerError
from tickstockpl.events import Event, Events, Expiry
from tickstockpl.faults import Fault, fault_of, sift
from tickstockpl.wire import DeadLetter, Gap, Sent, WriteBatch

pytestmark = pytest.mark.anyio


def backlog(max_rows: int = 1000, letters: int = 100) -> Backlog:
    return Backlog(max_rows, Allowance(letters))


def letter(n: int = 0) -> DeadLetter:
    return DeadLetter("too_late", "ZZTEST1", "data.raw", NINE_30_US, b"%d" % n, NINE_30_US)


def test_newer_revision_replaces_the_waiting_bar() -> None:
    waiting = backlog()
    waiting.add(WriteBatch(bars=versions([("A", 0, 10, 0), ("B", 0, 5, 0)])), 0.0)
    waiting.add(WriteBatch(bars=versions([("A", 0, 11, 1)])), 1.0)
    flush = waiting.take(100)
    assert flush.names == ["A", "B"]
    assert flush.bars["trades"].tolist() == [11, 5]
    assert waiting.coalesced == 1


def test_poorer_version_never_replaces_the_waiting_bar() -> None:
    waiting = backlog()
    waiting.add(WriteBatch(bars=versions([("A", 0, 11, 1), ("A", 0, 10, 0), ("A", 0, 3, 0)])), 0.0)
    assert waiting.take(100).bars["trades"].tolist() == [11]


@given(st.permutations([(trades, trades - 5) for trades in range(5, 12)]), st.data())
def test_any_order_repetition_and_split_ends_at_the_fullest_version(
    order: list[tuple[int, int]], data: st.DataObject
) -> None:
    waiting, cut = backlog(), data.draw(st.integers(0, len(order)))
    for part in (order[:cut], order, order[cut:]):
        if part:
            waiting.add(WriteBatch(bars=versions([("A", 0, trades, revision) for trades, revision in part])), 0.0)
    flush = waiting.take(100)
    assert (flush.bars["trades"].tolist(), flush.bars["revision"].tolist()) == ([11], [6])


def test_age_is_that_of_the_first_version_of_a_bar() -> None:
    waiting = backlog()
    assert waiting.oldest_s() is None
    waiting.add(WriteBatch(bars=versions([("A", 0, 10, 0)])), 3.0)
    waiting.add(WriteBatch(bars=versions([("A", 0, 11, 1)])), 9.0)
    assert waiting.oldest_s() == 3.0


def test_full_backlog_drops_the_oldest_bars_and_tells_the_window_as_one_gap() -> None:
    waiting = backlog(max_rows=4)
    for minute in range(4):
        waiting.add(WriteBatch(bars=bars(["A", "B"], minute)), float(minute))
    assert (waiting.rows, waiting.dropped_bars) == (4, 4)
    flush = waiting.take(100)
    assert sorted(set(flush.bars["ts_us"].tolist())) == [NINE_30_US + 2 * MINUTE_US, NINE_30_US + 3 * MINUTE_US]
    assert [kept.row for kept in flush.gaps] == [Gap(NINE_30_US, NINE_30_US + 2 * MINUTE_US, OVERFLOW, ())]


def test_bars_being_stored_count_against_the_bound() -> None:
    waiting = backlog(max_rows=4)
    waiting.add(WriteBatch(bars=bars(["A", "B", "C"], 0)), 0.0)
    waiting.take(3)
    waiting.add(WriteBatch(bars=bars(["A", "B", "C"], 1)), 1.0)
    assert (waiting.rows, waiting.dropped_bars) == (4, 2)


def test_memory_is_stated_in_bytes_and_bounded_by_the_rows() -> None:
    waiting = backlog(max_rows=100)
    waiting.add(WriteBatch(bars=bars([f"S{n}" for n in range(200)])), 0.0)
    assert waiting.bytes == 100 * ROW_BYTES
    assert waiting.bytes <= waiting.max_bytes


def test_gaps_beyond_their_bound_widen_the_last_one() -> None:
    waiting = backlog()
    for n in range(1500):
        waiting.add(WriteBatch(gaps=(Gap(n, n + 1, f"cause {n}", ("data.raw",)),)), 0.0)
    gaps = [kept.row for kept in waiting.take(10).gaps]
    assert len(gaps) == 1000
    assert (gaps[-1].started_us, gaps[-1].ended_us) == (999, 1500)


def test_dead_letters_beyond_the_hours_allowance_are_only_counted() -> None:
    waiting = backlog(letters=3)
    waiting.add(WriteBatch(dead=tuple(letter(n) for n in range(5))), 0.0)
    waiting.add(WriteBatch(dead=(letter(5),)), 3599.0)
    waiting.add(WriteBatch(dead=(letter(6),)), 3600.0)
    assert [kept.row.payload for kept in waiting.take(100).dead] == [b"0", b"1", b"2", b"6"]
    assert waiting.dropped_letters == 3


def test_an_event_given_twice_is_stored_once() -> None:
    waiting = backlog()
    waiting.add(WriteBatch(events=events(event(), event())), 0.0)
    assert len(waiting.take(100).events or ()) == 1


def test_a_long_outage_leaves_few_sets_of_columns_and_every_event_in_order_before_its_withdrawal() -> None:
    waiting, made = backlog(max_rows=20_000), [event(f"S{n}") for n in range(2 * PARTS)]
    for one in made:
        gone = Expiry(one.event_id, one.symbol, one.pattern, one.bar_end_us)
        waiting.add(WriteBatch(events=events(one), expired=(gone,)), 0.0)
    assert len(waiting) == 4 * PARTS
    assert waiting.bytes <= waiting.max_bytes
    stored: set[str] = set()
    taken: list[Event] = []
    while len(waiting):
        flush = waiting.take(100)
        taken += flush.events or ()
        stored |= {one.event_id for one in flush.events or ()}
        assert {gone.event_id for gone in flush.expired} <= stored
    assert taken == made


def test_a_full_backlog_drops_its_oldest_events_and_counts_them() -> None:
    waiting = backlog()
    waiting.add(WriteBatch(events=events(*(event(f"S{n}") for n in range(900)))), 0.0)
    waiting.add(WriteBatch(events=events(*(event(f"T{n}") for n in range(300)))), 0.0)
    assert (len(waiting), waiting.dropped_events) == (1000, 200)
    assert [one.symbol for one in waiting.take(1).events or ()] == ["S200"]


def test_mark_without_its_event_waits_a_minute_and_is_then_counted() -> None:
    waiting = backlog()
    waiting.add(WriteBatch(sent=(Sent(event().event_id, 1),)), 0.0)
    waiting.put_back(waiting.take(10).sent, 30.0)
    assert waiting.oldest_s() == 30.0
    waiting.put_back(waiting.take(10).sent, 60.0)
    assert (len(waiting), waiting.orphaned) == (0, 1)


def test_take_leaves_what_is_beyond_its_limit() -> None:
    waiting = backlog()
    two = events(event(minute=1), event(minute=2))
    waiting.add(WriteBatch(bars=bars([f"S{n}" for n in range(10)]), events=two), 0.0)
    assert len(waiting.take(4).bars) == 4
    assert len(waiting) == 6
    assert waiting.take(100).names == [f"S{n}" for n in range(4, 10)]


@pytest.mark.parametrize("bad", [set(), {0}, {499}, {7, 300}, set(range(10, 20))])
async def test_bad_rows_are_found_in_k_log_n_tries(bad: set[int]) -> None:
    kept: list[int] = []
    tries = 0

    async def store(part: object) -> None:
        nonlocal tries
        tries += 1
        assert isinstance(part, range | list)
        if bad.intersection(part):
            raise asyncpg.StringDataRightTruncationError("value too long for type character varying(20)")
        kept.extend(part)

    found = await sift(list(range(500)), store)
    assert [row for row, _ in found] == sorted(bad)
    assert sorted(kept) == sorted(set(range(500)) - bad)
    assert tries <= 1 + 2 * len(bad) * 9


async def test_sifting_stops_at_an_error_that_is_not_the_rows_fault() -> None:
    async def store(_: object) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await sift([1, 2], store)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (TimeoutError(), Fault.RETRY),
        (ConnectionRefusedError(), Fault.RETRY),
        (asyncpg.InterfaceError("connection is closed"), Fault.RETRY),
        (asyncpg.ConnectionDoesNotExistError(), Fault.RETRY),
        (asyncpg.SerializationError(), Fault.RETRY),
        (asyncpg.DeadlockDetectedError(), Fault.RETRY),
        (asyncpg.LockNotAvailableError(), Fault.RETRY),
        (asyncpg.AdminShutdownError(), Fault.RETRY),
        (asyncpg.QueryCanceledError(), Fault.RETRY),
        (asyncpg.DiskFullError(), Fault.RETRY),
        (asyncpg.ReadOnlySQLTransactionError(), Fault.READ_ONLY),
        (asyncpg.NumericValueOutOfRangeError(), Fault.POISON),
        (asyncpg.ForeignKeyViolationError(), Fault.POISON),
        (asyncpg.RaiseError(), Fault.POISON),
        (asyncpg.NotNullViolationError(), Fault.SCHEMA),
        (asyncpg.UndefinedColumnError(), Fault.SCHEMA),
        (asyncpg.InsufficientPrivilegeError(), Fault.SCHEMA),
        (ServerError("columns are missing"), Fault.SCHEMA),
        (KeyError(), None),
    ],
)
def test_each_error_means_what_can_be_done_about_it(error: Exception, fault: Fault | None) -> None:
    assert fault_of(error) is fault


def test_events_that_wait_keep_no_names_but_their_own() -> None:
    found = events(*(event(f"ZZTEST{at}", "Doji") for at in range(20)))
    joined = found[0:1]
    for at in range(50):
        joined = Events.joined([joined, found[at % 20 : at % 20 + 1], found[0:1]])
    assert sorted(each.symbol for each in joined) == sorted(f"ZZTEST{at}" for at in range(20))
    assert len(joined.columns.symbols) <= 22


def test_readings_wait_in_order_and_are_bounded() -> None:
    waiting = backlog()
    for n in range(PARTS + 2):
        waiting.add(WriteBatch(readings=readings(f"A{n}", f"B{n}")), float(n))
    assert len(waiting) == 1000
    assert waiting.dropped_readings == 2 * (PARTS + 2) - 1000 == 4
    assert waiting.oldest_s() == 0.0
    assert waiting.bytes <= waiting.max_bytes
    # two rows each
    first, rest = waiting.take(7).readings, waiting.take(5000).readings
    assert first is not None
    assert rest is not None
    named = [name for part in (first, rest) for name in part.symbol_names()]
    assert named == [f"{letter}{n}" for n in range(2, PARTS + 2) for letter in "AB"]
    assert len(first) == 3
    assert (len(waiting), waiting.oldest_s(), waiting.take(10).readings) == (0, None, None)
