"""The minutes that windows of `ingest_gap` touch, against each minute looked at by itself."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bar_samples import MINUTE_US, NINE_30_US
from tickstockpl.missed import Window, touched

LAST_US = NINE_30_US + 30 * MINUTE_US

instants = st.one_of(
    st.integers(NINE_30_US - 3 * MINUTE_US, LAST_US + 3 * MINUTE_US),
    st.integers(-3, 33).map(lambda minute: NINE_30_US + minute * MINUTE_US),
)
some_windows = st.lists(
    st.tuples(instants, instants).map(lambda pair: Window(min(pair), max(pair), "lost", ("data.raw",))), max_size=8
)


@given(some_windows)
def test_a_minute_is_touched_if_any_part_of_it_lies_in_a_window(found: list[Window]) -> None:
    spans = touched(found, NINE_30_US, LAST_US)
    inside = {us for low, high in spans.tolist() for us in range(low, high, MINUTE_US)}
    assert inside == {
        us
        for us in range(NINE_30_US, LAST_US, MINUTE_US)
        if any(window.started_us < us + MINUTE_US and window.ended_us > us for window in found)
    }


@given(some_windows)
def test_spans_come_in_order_of_whole_minutes_and_apart(found: list[Window]) -> None:
    spans = touched(found, NINE_30_US, LAST_US)
    assert spans.dtype == np.int64
    assert (spans % MINUTE_US == NINE_30_US % MINUTE_US).all()
    edges = spans.ravel()
    assert (np.diff(edges) > 0).all()
