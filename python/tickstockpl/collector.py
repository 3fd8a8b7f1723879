"""When Python looks for garbage: what a start makes is none, and a minute's end cannot wait."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG_OBJECTS = 20_000
"""So many are made between two looks at them; Python's own 700 are some 100 events, or a few modules."""


def leave_alone() -> None:
    """Never look again at what there is by now, and seldom at the rest."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


@contextmanager
def seldom() -> Iterator[None]:
    """Meanwhile leave alone what there was before, once it was looked through.

    A minute's end makes thousands of objects that die by counting; a collection among them waits a minute's events.
    """
    before = gc.get_threshold()
    gc.collect()
    leave_alone()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
