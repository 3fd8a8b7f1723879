"""What AppV2's rows say of our patterns, and what that makes of events."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from event_samples import event, events
from tickstockpl.aliases import ids_of
from tickstockpl.events import SWITCHED_OFF, TOO_WEAK, EventColumns
from tickstockpl.kernel import PATTERNS
from tickstockpl.switches import Definition, Switches

MADE = [
    {"id": "a", "name": "Alpha"},
    {"id": "b", "name": "Beta"},
    {"id": "b_spec", "name": "Beta"},
]
MEANT = {"a": ("a",), "alpha": ("a",), "both": ("a", "b"), "beta": ("b",), "b_spec": ("b_spec",)}


def switched(*rows: Definition) -> Switches:
    return Switches.of(rows, MADE, lambda name: MEANT.get(name.casefold(), ()))


def columns(*made: tuple[int, float]) -> EventColumns:
    """Events by position of their pattern, and confidence."""
    found = events(*(event(confidence=confidence) for _, confidence in made)).columns
    found.pattern[:] = [at for at, _ in made]
    return found


def muted(switches: Switches, *made: tuple[int, float]) -> list[int]:
    return [int(bits) for bits in switches.applied(columns(*made)).muted]


def test_a_pattern_that_is_switched_off_is_muted_whatever_its_confidence() -> None:
    off = switched(Definition("A", enabled=False), Definition("beta", enabled=True))
    assert off.off == {"a"}
    assert muted(off, (0, 1.0), (1, 0.0), (0, 0.0)) == [SWITCHED_OFF, 0, SWITCHED_OFF]


def test_an_event_below_its_patterns_threshold_is_too_weak_and_one_at_it_is_not() -> None:
    weak = switched(Definition("alpha", enabled=True, least=0.75))
    assert muted(weak, (0, 0.75), (0, 0.7499), (1, 0.0), (0, math.nan)) == [0, TOO_WEAK, 0, 0]
    both = switched(Definition("alpha", enabled=False, least=0.75))
    assert muted(both, (0, 0.5)) == [SWITCHED_OFF | TOO_WEAK]


def test_a_name_of_the_first_pattern_of_a_published_name_means_all_that_have_it() -> None:
    assert switched(Definition("Beta", enabled=False)).off == {"b", "b_spec"}
    assert switched(Definition("beta", enabled=True, least=0.5)).least == {"b": 0.5, "b_spec": 0.5}
    assert switched(Definition("b_spec", enabled=False)).off == {"b_spec"}


def test_appv2s_names_switch_what_it_shows_under_them() -> None:
    def off(name: str) -> set[str]:
        return set(Switches.of([Definition(name, enabled=False)], PATTERNS, ids_of).off)

    dojis = {"doji", "cdl_doji", "doji_spec"}
    assert off("Doji") == off("doji") == off("DojiPattern") == dojis
    assert off("cdl_doji") == off("CDLDOJI") == {"cdl_doji"}
    assert off("BullishEngulfing") == off("Engulfing") >= {"engulfing", "cdl_engulfing"}
    assert off("AlwaysDetected") == set()


def test_of_several_rows_one_that_says_off_is_enough_and_the_highest_threshold_counts() -> None:
    rows = [
        Definition("alpha", enabled=True, least=0.4),
        Definition("both", enabled=False, least=0.7),
        Definition("a", enabled=True, least=0.6),
    ]
    for order in (rows, rows[::-1]):
        made = switched(*order)
        assert made.off == {"a", "b", "b_spec"}
        assert made.least == {"a": 0.7, "b": 0.7, "b_spec": 0.7}


def test_names_that_are_none_of_ours_and_thresholds_that_are_none_are_named_and_change_nothing() -> None:
    made = switched(
        Definition("AlwaysDetected", enabled=False, least=0.5),
        *(Definition("alpha", enabled=True, least=wrong) for wrong in (-0.01, 1.01, 9.99, math.nan)),
    )
    assert (made.unknown, made.unfit) == (("AlwaysDetected",), ("alpha",) * 4)
    assert (made.off, made.least) == (frozenset(), {})
    found = columns((0, 0.0), (1, 0.0))
    assert made.applied(found) is found
    assert Switches().applied(found) is found


@given(
    rows=st.lists(
        st.builds(
            Definition,
            st.sampled_from([*(pattern["id"] for pattern in PATTERNS[:6]), "Doji", "CDLDOJI", "x"]),
            enabled=st.booleans(),
            least=st.none() | st.integers(0, 10).map(lambda tenths: tenths / 10),
        ),
        max_size=8,
    ),
    confidence=st.floats(0, 1),
)
def test_bits_are_those_that_each_event_would_get_alone(rows: list[Definition], confidence: float) -> None:
    made = Switches.of(rows, PATTERNS, ids_of)
    found = events(*(event(confidence=confidence) for _ in PATTERNS)).columns
    found.pattern[:] = np.arange(len(PATTERNS))
    for pattern, bits in zip(PATTERNS, made.applied(found).muted.tolist(), strict=True):
        first = next(each["id"] for each in PATTERNS if each["name"] == pattern["name"])
        wanted = [row for row in rows if {pattern["id"], first} & {*ids_of(row.name)}]
        off = any(not row.enabled for row in wanted)
        weak = any(row.least is not None and confidence < row.least for row in wanted)
        assert bits == off * SWITCHED_OFF + weak * TOO_WEAK, pattern["id"]
