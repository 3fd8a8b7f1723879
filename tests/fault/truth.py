"""What must be stored: the oracle's fold of what a service was given, and how tables differ from it."""

import contextlib
import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import tickstockpl as tp
from oracle import GAP, PARTIAL_START, Oracle, Row, Rules
from tickstockpl.moments import us_of
from tickstockpl.settings import Settings
from tickstockpl.spool import Spool
from tickstockpl.stream import arrival_us, number_of

Truth: TypeAlias = dict[tuple[str, int], Row]
"""The newest row of each bar, by symbol and start."""

BARS = "SELECT symbol, timestamp, open, high, low, close, volume, trades, vwap, revision, quality FROM ohlcv_1min"
EXACT = ("open", "high", "low", "close", "volume", "trades", "revision")
FLAGS = {"partial_start": PARTIAL_START, "gap": GAP}

KEPT = """
CREATE TABLE kept AS SELECT * FROM log WHERE false;
CREATE TRIGGER keep BEFORE DELETE ON log BEGIN
  INSERT INTO kept VALUES (old.first, old.count, old.at_us, old.kind, old.data);
END;
"""


class Item(NamedTuple):
    """What came together, as the spool has it."""

    first: int
    """The number of its first message."""
    at_us: int
    kind: str
    data: bytes


class Received:
    """What a service puts on disk, and what it deletes there: its own file gets a trigger that keeps that.

    To be made before the service first runs; the file can be read whenever none does.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._path = settings.state_dir / "spool" / f"{settings.ingest.part}.sqlite"
        Spool(self._path, tp.Framer(settings.redis.channels).feed).close()
        with contextlib.closing(sqlite3.connect(self._path)) as db:
            db.executescript(KEPT)

    def items(self) -> list[Item]:
        """All that there was, in order."""
        query = "SELECT first, at_us, kind, data FROM {} ORDER BY first"
        with contextlib.closing(sqlite3.connect(self._path)) as db:
            found = [Item(*row) for table in ("kept", "log") for row in db.execute(query.format(table))]
        numbers = [item.first for item in found]
        assert numbers == sorted(set(numbers)), "an item came twice, or a later one was deleted before an earlier one"
        return found

    def messages(self) -> list[tuple[Item, list[bytes]]]:
        """The items in order, each with its messages."""
        framer = tp.Framer(self._settings.redis.channels)
        return [(item, framer.feed(item.data).payloads(0) if item.kind == "received" else []) for item in self.items()]

    def folded(self) -> tuple[Truth, dict[int, set[tuple[str, int]]]]:
        """What the oracle makes of it; and which bars had closed before each connection, by its number."""
        oracle = Oracle(Rules(channels=self._settings.redis.channels, revise_s=self._settings.bars.revise_s))
        closed: dict[int, set[tuple[str, int]]] = {}
        for item, payloads in self.messages():
            match item.kind:
                case "received":
                    oracle.ingest(payloads, item.at_us)
                case "answered":
                    oracle.advance(item.at_us)
                case "connected":
                    closed[item.first] = set(newest(oracle))
                    oracle.subscribed(item.at_us, item.data == b"first")
        return newest(oracle), closed

    def windows(self) -> Iterator[tuple[int, int]]:
        """From the last word before each connection, but for the first, until the connection."""
        heard_us: int | None = None
        for item in self.items():
            if item.kind == "connected" and heard_us is not None:
                yield min(heard_us, item.at_us), item.at_us
            if item.kind != "lost":
                heard_us = max(heard_us or 0, item.at_us) if item.kind == "answered" else item.at_us


def of_stream(entries: Iterable[tuple[bytes, dict[bytes, bytes]]], settings: Settings) -> Truth:
    """What the oracle makes of a stream; bars that are open at its end close with it."""
    oracle = Oracle(Rules(channels=settings.tick_channels, revise_s=settings.bars.revise_s))
    for entry_id, fields in entries:
        now_us = arrival_us(number_of(entry_id))
        oracle.advance(now_us - 1)
        oracle.ingest([fields[b"d"]], now_us)
    oracle.flush()
    return newest(oracle)


def newest(oracle: Oracle) -> Truth:
    return {(row.symbol, row.ts_us): row for row in oracle.emitted}


def differences(stored: Sequence[dict[str, Any]], truth: Truth) -> list[Any]:
    """Closed bars that are not as the oracle has them, value by value."""
    wrong: list[Any] = []
    left = {(row["symbol"], us_of(row["timestamp"])): row for row in stored}
    for key, bar in truth.items():
        row = left.pop(key, None)
        if row is None:
            wrong.append(("missing", key))
            continue
        wrong += [(name, key, row[name], getattr(bar, name)) for name in EXACT if row[name] != getattr(bar, name)]
        said = (row["quality"] or "").split(",")
        wrong += [
            (name, key, said, bar.quality) for name, bit in FLAGS.items() if (name in said) != bool(bar.quality & bit)
        ]
        due = bar.vwap if bar.volume else None
        is_right = row["vwap"] == due or (row["vwap"] and due and math.isclose(row["vwap"], due, rel_tol=1e-12))
        if not is_right:
            wrong.append(("vwap", key, row["vwap"], bar.vwap))
    return wrong + [("extra", key) for key, row in left.items() if "provisional" not in (row["quality"] or "")]
