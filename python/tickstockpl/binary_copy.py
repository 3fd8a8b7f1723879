"""Bars as PostgreSQL reads them from a client: the binary format of COPY, written by columns.

asyncpg looks at every value of every record; a minute's bars are one array here, and their bytes are the message.
Source: PostgreSQL 17, COPY, "Binary Format".
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"

_WIRE = {"<f8": ">f8", "<i8": ">i8", "<i4": ">i4", "|u1": ">i2", "|V16": "|V16"}
"""PostgreSQL's float8, bigint, integer, smallint and uuid for the types of our columns."""


def copied(names: Sequence[str], rows: NDArray[np.void], columns: Sequence[str]) -> bytes:
    """A whole COPY of a text column and some of the columns of `rows`; names that are of one length come together.

    names: the text of each row.
    Raises UnicodeEncodeError for a name that is no UTF-8.
    """
    texts = [name.encode() for name in names]
    lengths = np.array([len(text) for text in texts])
    parts = [_HEADER]
    for length in np.unique(lengths).tolist():
        places = (lengths == length).nonzero()[0]
        made = np.empty(len(places), dtype=_row(length, rows.dtype, columns))
        made["values"] = 1 + len(columns)
        made["size"], made["text"] = length, np.array([texts[at] for at in places.tolist()])
        for column in columns:
            made[f"size {column}"] = made.dtype[column].itemsize
            made[column] = rows[column][places]
        parts.append(made.tobytes())
    return b"".join([*parts, _TRAILER])


def _row(length: int, dtype: np.dtype[np.void], columns: Sequence[str]) -> np.dtype[np.void]:
    fields = [("values", ">i2"), ("size", ">i4"), ("text", f"S{length}")]
    for column in columns:
        fields += [(f"size {column}", ">i4"), (column, _WIRE[dtype[column].str])]
    return np.dtype(fields)
