"""A binary COPY read value by value, as PostgreSQL's documentation has it."""

import struct


def rows_of(copy: bytes) -> list[tuple[bytes | None, ...]]:
    """The values of each row, as they are sent."""
    assert copy[:11] == b"PGCOPY\n\xff\r\n\0"
    flags, extension = struct.unpack_from(">ii", copy, 11)
    assert (flags, extension) == (0, 0)
    at, rows = 19, []
    while (count := _number(copy, at, ">h")) != -1:
        at += 2
        values: list[bytes | None] = []
        for _ in range(count):
            size = _number(copy, at, ">i")
            at += 4
            values.append(None if size == -1 else copy[at : at + size])
            at += max(size, 0)
        rows.append(tuple(values))
    assert at + 2 == len(copy)
    return rows


def _number(copy: bytes, at: int, form: str) -> int:
    (number,) = struct.unpack_from(form, copy, at)
    assert isinstance(number, int)
    return number
