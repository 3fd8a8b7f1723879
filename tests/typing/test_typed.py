"""The run-time judge of type claims: what it takes for true, and that it refuses the rest."""

from typing import Any, Literal, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from typed import assert_type, holds


class Pair(NamedTuple):
    one: int
    other: int


@pytest.mark.parametrize(
    ("value", "claimed"),
    [
        (1, int),
        (None, None),
        (None, int | None),
        (1, int | None),
        (2, Literal[1, 2]),
        (np.zeros(2), NDArray[np.float64]),
        (np.zeros(2), NDArray[Any]),
        (np.array([b"ab"]), NDArray[np.bytes_]),
        ({"a": np.zeros(1, np.int32)}, dict[str, NDArray[np.int32]]),
        ((), tuple[str, ...]),
        (("a", "b"), tuple[str, ...]),
        ([("a", 1)], list[tuple[str, int]]),
        (Pair(1, 2), Pair),
        (object(), object),
    ],
)
def test_a_value_is_what_it_is_claimed_to_be(value: object, claimed: Any) -> None:
    assert assert_type(value, claimed) is value


@pytest.mark.parametrize(
    ("value", "claimed"),
    [
        (True, int),
        (1.0, int),
        (np.int64(1), int),
        (1, None),
        ("1", int | None),
        (True, Literal[1]),
        (np.zeros(2), NDArray[np.float32]),
        (np.zeros(2), NDArray[np.int64]),
        ([0.0, 0.0], NDArray[np.float64]),
        (np.float64(0), NDArray[np.float64]),
        ({"a": np.zeros(1, np.int64)}, dict[str, NDArray[np.int32]]),
        ({1: np.zeros(1, np.int32)}, dict[str, NDArray[np.int32]]),
        (["a"], tuple[str, ...]),
        (("a", 1), tuple[str, ...]),
        (("a",), tuple[str, int]),
        ([("a", "1")], list[tuple[str, int]]),
        ((1, 2), Pair),
        (Pair(1, 2), tuple[int, int]),
    ],
)
def test_a_value_that_is_something_else_is_refused(value: object, claimed: Any) -> None:
    assert not holds(value, claimed)
    with pytest.raises(AssertionError, match="is not"):
        assert_type(value, claimed)
