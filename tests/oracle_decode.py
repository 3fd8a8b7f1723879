"""The slow, obvious decoder: what `decode` must say about any bytes, written on `json.loads`.

Nothing here is clever and nothing is shared with the kernel: where the two differ, the wire rules decide who is wrong.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any

MAX_PAYLOAD_BYTES = 65_536
MAX_DEPTH = 128
MAX_VOLUME = 2**53
MAX_SEQ = 2**63 - 1
EARLIEST_S = 946_684_800  # 2000-01-01
LATEST_S = 4_102_444_800  # 2100-01-01
NAN = float("nan")
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')


@dataclass(frozen=True, slots=True)
class Tick:
    """One good tick. Prices are NaN where absent, `start_us` and `seq` -1."""

    symbol: str
    ts_us: int
    kind: str
    price: float
    volume: int
    open: float
    high: float
    low: float
    close: float
    vwap: float
    start_us: int
    seq: int
    accumulated_volume: int | None
    source: str | None
    conditions: tuple[float, ...]


class RefusedTickError(Exception):
    """A tick that breaks a rule; its one argument is the reason."""


def decode_message(payload: bytes) -> list[Tick | str]:
    """Return the ticks of one message in order; a refused one is its reason, a string."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        return ["too_large"]
    try:
        text = payload.decode("utf-8")
        value = json.loads(text, parse_int=_whole)
    except (ValueError, RecursionError):
        return ["bad_json"]
    if _depth(text) > MAX_DEPTH:
        return ["bad_json"]
    ticks: list[Tick | str] = []
    for element in value if isinstance(value, list) else [value]:
        if not isinstance(element, dict):
            ticks.append("not_an_object")
            continue
        try:
            ticks.append(decode_object(element))
        except RefusedTickError as refused:
            ticks.append(str(refused))
    return ticks


def decode_object(fields: dict[str, Any]) -> Tick:
    """Return the tick of one JSON object; the first rule that it breaks is the reason of `RefusedTickError`."""
    symbol = _ticker(fields)
    kind = _kind(fields)
    ts_us = _stamp(fields)
    price = _price(fields, "price")
    if math.isnan(price):
        raise RefusedTickError("missing_field")
    return Tick(
        symbol=symbol,
        ts_us=ts_us,
        kind=kind,
        price=price,
        open=_price(fields, "tick_open"),
        high=_price(fields, "tick_high"),
        low=_price(fields, "tick_low"),
        close=_price(fields, "tick_close"),
        vwap=_price(fields, "tick_vwap"),
        volume=_volume(fields, kind),
        start_us=_start(fields, ts_us),
        seq=_seq(fields),
        accumulated_volume=_count(fields, "accumulated_volume", MAX_SEQ),
        source=_source(fields),
        conditions=_conditions(fields),
    )


def _ticker(fields: dict[str, Any]) -> str:
    ticker = fields.get("ticker")
    if ticker is None:
        ticker = fields.get("symbol")
    if ticker is None:
        raise RefusedTickError("missing_field")
    if not isinstance(ticker, str):
        raise RefusedTickError("wrong_type")
    if any(ord(character) < 0x21 or ord(character) == 0x7F for character in ticker):
        raise RefusedTickError("bad_ticker")
    if any(0xD800 <= ord(character) <= 0xDFFF for character in ticker):
        raise RefusedTickError("bad_ticker")  # half of an escaped pair: JSON, but no text that could be stored
    if not 1 <= len(ticker.encode()) <= 20:
        raise RefusedTickError("bad_ticker")
    return ticker


def _kind(fields: dict[str, Any]) -> str:
    kind = fields.get("event_type")
    if kind is None and fields.get("type") == "market_tick":
        kind = "A"
    if kind is None:
        raise RefusedTickError("missing_field")
    if not isinstance(kind, str):
        raise RefusedTickError("wrong_type")
    if kind not in {"A", "T", "Q"}:
        raise RefusedTickError("unknown_kind")
    return kind


def _stamp(fields: dict[str, Any]) -> int:
    timestamp = _number(fields, "timestamp")
    if timestamp is None:
        raise RefusedTickError("missing_field")
    if not EARLIEST_S <= timestamp <= LATEST_S:
        raise RefusedTickError("bad_timestamp")
    return _micros(timestamp)


def _volume(fields: dict[str, Any], kind: str) -> int:
    tick_volume = _count(fields, "tick_volume", MAX_VOLUME)
    volume = _count(fields, "volume", MAX_VOLUME)
    if tick_volume is not None:
        return tick_volume
    if volume is not None:
        return volume
    if kind != "Q":
        raise RefusedTickError("missing_field")
    return 0


def _start(fields: dict[str, Any], ts_us: int) -> int:
    start = _number(fields, "tick_start_timestamp")
    if start is None:
        return -1
    if not math.isfinite(start * 1e6) or not ts_us - 60_000_000 <= _micros(start) <= ts_us:
        raise RefusedTickError("bad_timestamp")
    return _micros(start)


def _seq(fields: dict[str, Any]) -> int:
    seq = _count(fields, "seq", MAX_SEQ)
    return -1 if seq is None else seq


def _source(fields: dict[str, Any]) -> str | None:
    source = fields.get("source")
    if source is not None and not isinstance(source, str):
        raise RefusedTickError("wrong_type")
    return source


def _whole(digits: str) -> int | float:
    """Parse a JSON integer; one too long for Python's own limit on digits is beyond every limit here: infinite."""
    return int(digits) if len(digits) < 300 else float(digits)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(fields: dict[str, Any], name: str) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    if not _is_number(value):
        raise RefusedTickError("wrong_type")
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def _price(fields: dict[str, Any], name: str) -> float:
    """Return a finite number above 0; NaN if absent."""
    value = _number(fields, name)
    if value is None:
        return NAN
    if not (math.isfinite(value) and value > 0):
        raise RefusedTickError("bad_price")
    return value


def _count(fields: dict[str, Any], name: str, most: int) -> int | None:
    """Return a whole number from 0 to `most`, whether written 1523 or 1523.0."""
    value = fields.get(name)
    if value is None:
        return None
    if not _is_number(value):
        raise RefusedTickError("wrong_type")
    if not math.isfinite(value) or value != math.floor(value) or not 0 <= value <= most:
        raise RefusedTickError("bad_volume")
    return int(value)


def _conditions(fields: dict[str, Any]) -> tuple[float, ...]:
    ids = fields.get("conditions")
    if ids is None:
        return ()
    if not isinstance(ids, list):
        raise RefusedTickError("wrong_type")
    for one in ids:
        if not _is_number(one) or not math.isfinite(one) or one != math.floor(one):
            raise RefusedTickError("wrong_type")
    return tuple(ids)


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)  # Python rounds halves to even


def _depth(text: str) -> int:
    """Levels of nesting in valid JSON: 0 for a scalar, 1 for [] and {}."""
    depth = deepest = 0
    for token in _TOKENS.findall(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token, 0)
        deepest = max(deepest, depth)
    return deepest
