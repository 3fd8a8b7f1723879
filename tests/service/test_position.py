"""How far back a start must go: marks, and what a position makes of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstockpl.position import EVER_US, MARK_MESSAGES, MARK_S, Mark, Marks, Position

SECOND = 1_000_000
MINUTE = 60 * SECOND


def marks_of(*marks: tuple[int, int, int], begun: Position | None = None) -> Marks:
    """(next message, oldest revisable minute, first message of it) of each."""
    made = Marks(begun)
    for src, minute, first_src in marks:
        made.add(Mark(src, src * SECOND, minute * MINUTE, first_src, (("data.raw", f"at {src}"),)))
    return made


def test_a_position_survives_json() -> None:
    position = Position(7, 3, EVER_US, 5, 9, (("data.raw", '{"event_us":1}'),))
    values = position.to_values()
    assert Position.of_values({**values, "standing": [list(pair) for pair in values["standing"]]}) == position


@pytest.mark.parametrize("values", [{}, {"low_src": "x"}, {"low_src": None, "standing": []}])
def test_what_is_no_position_is_refused(values: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Position.of_values(values)


def test_a_start_goes_back_to_where_nothing_revisable_had_begun() -> None:
    marks = marks_of((0, 0, 0), (10, 1, 4), (20, 2, 12), (30, 3, 21), (40, 4, 33))
    # Message 41 began the oldest open bar. At the mark before it, minutes from 33 on could be revised: they are made
    # anew from where they could be at the mark before 33, which is 30, and their first message is 21.
    position = marks.position(low_src=41, durable_src=44)
    assert position == Position(41, 20, 3 * MINUTE, 30, 44, (("data.raw", "at 20"),))


def test_marks_that_no_start_can_need_are_forgotten() -> None:
    marks = marks_of((0, 0, 0), (10, 1, 4), (20, 2, 12), (30, 3, 21), (40, 4, 33))
    marks.position(41, 44)
    assert len(marks) == 3


def test_what_was_settled_when_a_run_began_stays_settled() -> None:
    begun = Position(41, 20, 3 * MINUTE, 30, 44, ())
    marks = marks_of((20, 1, 20), (32, 2, 20), (43, 4, 33), begun=begun)
    position = marks.position(43, 50)
    assert (position.replay_src, position.anew_us, position.settled_src) == (20, 3 * MINUTE, 32)


@pytest.mark.parametrize(
    ("src", "at_us", "due"),
    [
        (10, 0, False),
        (11, round(MARK_S * 1e6), True),
        (11, 0, False),
        (10 + MARK_MESSAGES, 0, True),
        (10, 10**9, False),
    ],
)
def test_a_mark_is_due_by_time_or_by_messages_and_never_twice_at_one(src: int, at_us: int, due: bool) -> None:
    marks = Marks()
    assert marks.is_due(10, 0)
    marks.add(Mark(10, 0, 0, 0, ()))
    assert marks.is_due(src, at_us) is due


def test_a_start_goes_back_to_what_may_not_be_sent_yet() -> None:
    marks = Marks(None, unsent_us=25 * SECOND)
    for src in range(0, 60, 10):
        marks.add(Mark(src, src * SECOND, src // 10 * MINUTE, max(0, src - 5), ()))
    # Of messages until 25 s before the newest mark everything is sent or has expired: mark 20 counts as the low one.
    position = marks.position(low_src=55, durable_src=58)
    assert (position.low_src, position.settled_src, position.anew_us) == (55, 10, MINUTE)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=40), st.data())
def test_no_start_is_later_than_what_it_must_make_anew(steps: list[tuple[int, int, int]], data: st.DataObject) -> None:
    src, minute, first = 0, 0, 0
    made = [(0, 0, 0)]
    for step, minutes, more in steps:
        src, minute = src + step, minute + minutes
        first = min(src, first + more)
        made.append((src, minute, first))
    marks = marks_of(*made)
    low = 0
    for _ in range(3):
        low = data.draw(st.integers(low, src))
        position = marks.position(low, src)
        at_low = max(mark for mark in made if mark[0] <= low)
        oldest = max(mark for mark in made if mark[0] <= at_low[2])
        assert position.replay_src <= oldest[2] <= at_low[2] <= low
        assert (position.anew_us, position.settled_src) == (oldest[1] * MINUTE, oldest[0])
        assert position.standing == (("data.raw", f"at {position.replay_src}"),)
