"""What is sent to PostgreSQL of bars, byte by byte; that it takes it is shown by the writer's tests."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copy_reader import rows_of
from tickstockpl.backlog import ROW
from tickstockpl.binary_copy import copied
from tickstockpl.statements import STAGED

FORMS = {"f8": ">d", "i8": ">q", "i4": ">i", "u1": ">h"}


@given(
    names=st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=8),
    seed=st.binary(min_size=8 * ROW.itemsize, max_size=8 * ROW.itemsize),
)
def test_every_bar_is_sent_with_its_values_whatever_its_name(names: list[str], seed: bytes) -> None:
    rows = np.frombuffer(seed, dtype=ROW)[: len(names)]
    sent = rows_of(copied(names, rows, STAGED[1:]))
    assert sorted(sent, key=repr) == sorted(
        (
            (name.encode(), *(struct.pack(FORMS[row[each].dtype.str[1:]], row[each].item()) for each in STAGED[1:]))
            for name, row in zip(names, rows, strict=True)
        ),
        key=repr,
    )


def test_a_name_that_is_no_utf_8_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        copied(["\ud800"], np.zeros(1, dtype=ROW), STAGED[1:])
