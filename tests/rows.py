"""The engine's columns as the oracle's rows, and one feed played on either."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict

import numpy as np

import tickstockpl as tp
from oracle import Oracle, Row, Rules
from strategies import Advance, Call, Ingest, Subscribed

VWAP_TOLERANCE = 1e-12
NOT_IN_ORACLE = frozenset({"detections", "withdrawn", "foreign", "readings"})


def engine_of(rules: Rules) -> tp.Engine:
    fields = asdict(rules)
    regular = np.array(fields.pop("regular"), dtype=np.int64).reshape(-1, 2)
    return tp.Engine(tp.EngineSettings(**fields, regular=regular))


def rows_of(bars: tp.Bars) -> list[Row]:
    """The bars as the oracle's rows, in the order of the columns."""
    symbols = [bars.symbols[index] for index in bars.symbol.tolist()]
    columns = [getattr(bars, name).tolist() for name in Row._fields if name != "symbol"]
    return [Row(*values) for values in zip(symbols, *columns, strict=True)]


def played(engine: tp.Engine, calls: Iterable[Call]) -> list[tp.Output]:
    """What each call on the engine gave."""
    outputs = []
    for call in calls:
        if isinstance(call, Ingest):
            outputs.append(engine.ingest(list(call.payloads), call.now_us, call.channel))
        elif isinstance(call, Advance):
            outputs.append(engine.advance(call.now_us))
        elif isinstance(call, Subscribed):
            engine.subscribed(call.now_us, call.first)
        else:
            outputs.append(engine.flush())
    return outputs


def emitted(engine: tp.Engine, calls: Iterable[Call]) -> list[Row]:
    """Every row that the engine emitted, in order."""
    return [row for output in played(engine, calls) for row in rows_of(output.bars)]


def judged(rules: Rules, calls: Iterable[Call]) -> Oracle:
    """The oracle after the same calls."""
    oracle = Oracle(rules)
    for call in calls:
        if isinstance(call, Ingest):
            oracle.ingest(call.payloads, call.now_us, call.channel)
        elif isinstance(call, Advance):
            oracle.advance(call.now_us)
        elif isinstance(call, Subscribed):
            oracle.subscribed(call.now_us, call.first)
        else:
            oracle.flush()
    return oracle


def by_symbol(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Each symbol's emissions in order: across symbols the order is nobody's business."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.symbol, []).append(row)
    return found


def assert_same_rows(got: Iterable[Row], expected: Iterable[Row]) -> None:
    """Fail unless every symbol has the same sequence of rows, bit for bit but for vwap's last digits."""
    ours, theirs = by_symbol(got), by_symbol(expected)
    assert {symbol: [row._replace(vwap=0.0) for row in rows] for symbol, rows in ours.items()} == {
        symbol: [row._replace(vwap=0.0) for row in rows] for symbol, rows in theirs.items()
    }
    for symbol, rows in ours.items():
        for row, other in zip(rows, theirs[symbol], strict=True):
            both_absent = math.isnan(row.vwap) and math.isnan(other.vwap)
            assert both_absent or math.isclose(row.vwap, other.vwap, rel_tol=VWAP_TOLERANCE), (row, other)


def counted(engine: tp.Engine) -> dict[str, int]:
    """The engine's counters that the oracle keeps too, without zeros."""
    return {name: count for name, count in engine.counters().items() if count and name not in NOT_IN_ORACLE}


def unaccounted(counters: dict[str, int]) -> int:
    """Ticks that no counter explains: 0, or ticks are lost without a word."""
    seen = Counter(counters)
    known = ("folded", "quotes", "repeats", "not_owner", "other_kind", "too_late", "condition_excluded", "held")
    refused = sum(count for name, count in seen.items() if name.startswith("refused_"))
    return seen["ticks"] - refused - sum(seen[name] for name in known)
