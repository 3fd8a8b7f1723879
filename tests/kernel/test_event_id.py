"""Who an event is: the same UUID in every replay, and the one that Python's own uuid5 makes."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

import tickstockpl as tp

PATTERN_IDS = [pattern["id"] for pattern in tp.PATTERNS]
SPACE = uuid.UUID("0c9f5d2e-6b1c-5d3a-9a4e-7d1f2b8c6a55")


def expected(symbol: str, ts_us: int, pattern_id: str, revision: int) -> str:
    parameters = next(pattern["parameters"] for pattern in tp.PATTERNS if pattern["id"] == pattern_id)
    return str(uuid.uuid5(SPACE, f"{symbol}|1min|{ts_us}|{pattern_id}|{parameters}|{revision}"))


@given(
    symbol=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
    ts_us=st.integers(-(2**63), 2**63 - 1),
    pattern_id=st.sampled_from(PATTERN_IDS),
    revision=st.integers(0, 2**32 - 1),
)
def test_an_id_is_bit_for_bit_pythons_uuid5(symbol: str, ts_us: int, pattern_id: str, revision: int) -> None:
    assert tp.event_id(symbol, ts_us, pattern_id, revision) == expected(symbol, ts_us, pattern_id, revision)


def test_the_id_that_the_first_release_gave_an_event_is_still_its_id() -> None:
    assert tp.event_id("AAPL", 1_757_600_400_000_000, "hammer") == "6473b0bc-e94f-555e-b6d7-a615fb9bf4fc"


def test_a_definition_that_has_changed_gives_its_events_other_ids() -> None:
    changed = {pattern["id"] for pattern in tp.PATTERNS if pattern["parameters"] != "1"}
    levels = {"daily_breakout", "weekly_breakout", "gap_up", "gap_down", "gap_fill", "pivot_break"}
    assert changed == {"pin_bar", *levels}
    for name in PATTERN_IDS:
        is_other = tp.event_id("AAPL", 0, name) != tp.event_id("AAPL", 0, name, parameters="1")
        assert is_other == (name in changed)


def test_an_id_of_no_pattern_is_of_a_first_definition() -> None:
    assert tp.event_id("AAPL", 0, "mine") == tp.event_id("AAPL", 0, "mine", parameters="1")
