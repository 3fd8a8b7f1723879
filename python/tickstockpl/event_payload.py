"""Events as AppV2 and the database read them: columns in, a JSON text for each event out. Pure functions of values.

A minute's end brings thousands of events. A column becomes texts in one call, and a template joins them row by row:
that is several times as fast as a dict an event, and the bytes are the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tickstockpl.payload import DIGITS, SOURCE, iso, plain
from tickstockpl.wire import INDICATORS, TIMEFRAME, Events, quality_names

BAR = ("open", "high", "low", "close", "volume")
LEVELS = ("entry", "stop", "target")

DIRECTIONS = {1: "bullish", -1: "bearish", 0: "neutral"}
"""A direction in AppV2's words."""

_TENS = np.array([float(f"1e{power}") for power in range(-4, DIGITS + 4)])
"""Of the sizes whose 12 digits a power of ten up to 1e15 brings before the point, the least of each power of ten."""
_NEAR_TIE = 1e-3


def lifetime_us(ttl_s: float) -> int:
    """How long after the END of its bar an event is shown."""
    return round(ttl_s * 1e6)


def faults(events: Events) -> dict[int, str]:
    """Why AppV2 could not show some of the events, by their places. One such message can blank a whole page there."""
    confidence, direction = events.column("confidence"), events.column("direction")
    calculated = ("open", "high", "low", "close", "price_change")
    finite = np.logical_and.reduce([np.isfinite(events.column(name)) for name in calculated])
    unsure, aimless = ~((confidence >= 0.0) & (confidence <= 1.0)), np.abs(direction) > 1
    names = [each["name"] for each in events.patterns]
    nameless = _is_empty(events.columns.symbols, events.column("symbol")) | _is_empty(names, events.column("pattern"))
    found: dict[int, str] = {}
    for at in (nameless | unsure | ~finite | aimless).nonzero()[0].tolist():
        if nameless[at]:
            found[at] = "symbol and pattern must not be empty"
        elif unsure[at]:
            found[at] = f"confidence must be within 0 and 1, was {confidence[at]}"
        elif not finite[at]:
            found[at] = "prices and price_change must be finite"
        else:
            found[at] = f"direction must be -1, 0 or 1, was {direction[at]}"
    return found


class Messages:
    """Events on their way to AppV2's channels; what both channels' messages share is written once.

    events: such as `faults` does not name.
    """

    def __init__(self, events: Events) -> None:
        self._events = events

    def universal(self, ttl_s: float) -> list[bytes]:
        """Those for `tickstock.events.patterns`: read alike by every release of AppV2.

        ttl_s: seconds from the bar's END until an event expires.
        """
        ends_us = self._events.bar_end_us()
        top = f'"event_type":"pattern_detected","source":"{SOURCE}"'
        rows = zip(
            self._named(), self._ends, _named(self._events, "tier"), _numbers(ends_us / 1e6),
            _numbers((ends_us + lifetime_us(ttl_s)) / 1e6), _numbers(self._events.column("close")),
            _numbers(_plainly(self._events.column("price_change"))), self._directions, self._indicators(), self._bars,
            _numbers(self._events.column("ts_us") / 1e6), self._levels, self._remarks, strict=True,
        )  # fmt: skip
        return [
            (
                f'{{{named},{top},"timestamp":"{at}","data":{{{named},"source":{tier},"timestamp":{end},'
                f'"expires_at":{expires},"current_price":{close},"price_change":{change},"direction":{direction},'
                f'"indicators":{indicators},"bar":{bar},"bar_start":{start},"bar_end":{end}{levels}{remarks}}}}}'
            ).encode()
            for (
                named, at, tier, end, expires, close, change, direction, indicators, bar, start, levels, remarks
            ) in rows
        ]  # fmt: skip

    def streaming(self, session_id: str) -> list[bytes]:
        """Those for `tickstock:patterns:streaming`."""
        session = orjson.dumps(session_id).decode()
        top = f'"type":"streaming_pattern","event":"pattern_detected","session_id":{session}'
        rows = zip(
            self._names, self._ends, self._directions, self._levels, self._bars, self._ids, self._remarks, strict=True
        )
        return [
            (
                f'{{{top},"timestamp":"{at}","source":"{SOURCE}","detection":{{{names},"timestamp":"{at}",'
                f'"timeframe":"{TIMEFRAME}","parameters":{{"direction":{direction}{levels}}},"bar_data":{bar},'
                f'"metadata":{{"session_id":{session},"event_id":"{event_id}"{remarks}}}}}}}'
            ).encode()
            for names, at, direction, levels, bar, event_id, remarks in rows
        ]

    @cached_property
    def _ids(self) -> list[str]:
        return self._events.event_ids()

    @cached_property
    def _ends(self) -> list[str]:
        return [iso(end_us) for end_us in self._events.bar_end_us().tolist()]

    @cached_property
    def _names(self) -> list[str]:
        """Symbol, the pattern's name under its three keys, and the confidence."""
        names = [
            f'"pattern":{name},"pattern_name":{name},"pattern_type":{name}'
            for name in _quoted([pattern["name"] for pattern in self._events.patterns])
        ]
        patterns = self._events.column("pattern").tolist()
        confidences = _numbers(self._events.column("confidence"))
        rows = zip(_quoted(self._events.symbol_names()), patterns, confidences, strict=True)
        return [f'"symbol":{symbol},{names[at]},"confidence":{confidence}' for symbol, at, confidence in rows]

    def _named(self) -> list[str]:
        """What a universal payload has at its top and again in its data."""
        rows = zip(self._names, _named(self._events, "tier"), self._ids, strict=True)
        return [f'{names},"tier":{tier},"timeframe":"{TIMEFRAME}","flow_id":"{id_}"' for names, tier, id_ in rows]

    @cached_property
    def _directions(self) -> list[str]:
        return _directions(self._events)

    @cached_property
    def _bars(self) -> list[str]:
        return _objects({name: _numbers(self._events.column(name)) for name in BAR})

    def _indicators(self) -> list[str]:
        return _maps({name: _plainly(self._events.column(name)) for name in INDICATORS})

    @cached_property
    def _levels(self) -> list[str]:
        maps = _maps({name: _plainly(self._events.column(name)) for name in LEVELS})
        return ["" if levels == "{}" else f',"levels":{levels}' for levels in maps]

    @cached_property
    def _remarks(self) -> list[str]:
        """What is said of few events: nothing stands for what is not known."""
        names = (pattern["talib_name"] for pattern in self._events.patterns)
        talib = [None if name == "null" else f',"talib_name":{name},"talib_value":' for name in _quoted(names)]
        columns = (self._events.column(name).tolist() for name in ("supersedes", "quality", "pattern", "talib_value"))
        return [
            (f',"supersedes":"{old.decode()}"' if old else "")
            + (f',"quality":{_quality(bits)}' if bits else "")
            + ("" if (found := talib[pattern]) is None else f"{found}{value}")
            for old, bits, pattern, value in zip(*columns, strict=True)
        ]


def cached(events: Events, ttl_s: float) -> list[str]:
    """The values of pattern-cache entries: the nine fields of AppV2's `CachedPattern`, which takes no tenth."""
    ends_us = events.bar_end_us()
    return _objects(
        {
            "symbol": _quoted(events.symbol_names()),
            "pattern_type": _named(events, "name"),
            "confidence": _numbers(events.column("confidence")),
            "current_price": _numbers(events.column("close")),
            "price_change": _numbers(_plainly(events.column("price_change"))),
            "detected_at": _numbers(ends_us / 1e6),
            "expires_at": _numbers((ends_us + lifetime_us(ttl_s)) / 1e6),
            "indicators": _maps({name: _plainly(_as_cached(events, name)) for name in INDICATORS}),
            "source_tier": _named(events, "tier"),
        }
    )


def stored(events: Events) -> list[str]:
    """What the database keeps of each event: `payload` of `pattern_event`, AppV2's own `pattern_data`."""
    return _objects(
        {
            "pattern_id": _named(events, "id"),
            "direction": _directions(events),
            "current_price": _numbers(events.column("close")),
            "price_change": _numbers(events.column("price_change")),
            "bar_start": _numbers(events.column("ts_us") / 1e6),
            "bar_end": _numbers(events.bar_end_us() / 1e6),
            "first_bar": _numbers(events.column("first_us") / 1e6),
            "bars": _numbers(events.column("bars")),
            "revision": _numbers(events.column("revision")),
            "supersedes": [f'"{old.decode()}"' if old else "null" for old in events.column("supersedes").tolist()],
            **{name: _numbers(events.column(name)) for name in LEVELS},
            "bar": _objects({name: _numbers(events.column(name)) for name in BAR}),
            "indicators": _maps({name: events.column(name) for name in INDICATORS}),
            "quality": [_quality(bits) for bits in events.column("quality").tolist()],
            "talib_name": _named(events, "talib_name"),
            "talib_value": _numbers(events.column("talib_value")),
        }
    )


def _is_empty(names: Sequence[str], column: NDArray[np.int32]) -> NDArray[np.bool_]:
    if "" not in names:
        return np.full(len(column), False)
    return np.array([not name for name in names])[column]


def _objects(columns: Mapping[str, Sequence[str]]) -> list[str]:
    """A JSON object of each row; `columns` are JSON already, by key."""
    template = "{" + ",".join(f'"{name}":%s' for name in columns) + "}"
    return list(map(template.__mod__, zip(*columns.values(), strict=True)))


def _as_cached(events: Events, name: str) -> NDArray[np.float64]:
    """An indicator as AppV2's pattern page takes it.

    It shows a relative strength as a multiple ("1.0x" is the market) and hides every pattern whose own is below 0; as
    percentage points half of the market would never be seen.
    """
    column: NDArray[np.float64] = events.column(name)
    return 1.0 + column / 100.0 if name == "relative_strength" else column


def _plainly(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """`payload.plain` of each value.

    Times a power of ten, a value has its 12 digits before the point; the product is off by less than 1e-4, which
    matters only beside a tie; and a whole number divided by a power of ten up to 1e22 is the double nearest to its
    digits.
    """
    size = np.abs(column)
    usual = (size >= _TENS[0]) & (size < _TENS[DIGITS + 4])
    values = np.where(usual, column, 1.0)
    scale = _TENS[::-1][np.searchsorted(_TENS[: DIGITS + 4], np.abs(values), side="right") - 1]
    digits = values * scale
    tie = np.abs(digits - np.floor(digits) - 0.5) < _NEAR_TIE
    rounded = np.where(usual, np.rint(digits) / scale, column)
    for at in ((tie & usual) | (np.isfinite(column) & ~usual)).nonzero()[0].tolist():
        rounded[at] = plain(column[at])
    return rounded


def _numbers(column: NDArray[Any]) -> list[str]:
    """Each number as JSON, `null` for one that is not finite: all in one call, for a call costs more than a number."""
    whole = orjson.dumps(np.ascontiguousarray(column), option=orjson.OPT_SERIALIZE_NUMPY)
    return whole[1:-1].decode().split(",") if len(column) else []


def _quoted(names: Iterable[str | None]) -> list[str]:
    return [orjson.dumps(name).decode() for name in names]


def _named(events: Events, what: str) -> list[str]:
    names = _quoted(pattern[what] for pattern in events.patterns)
    return [names[at] for at in events.column("pattern").tolist()]


def _directions(events: Events) -> list[str]:
    texts = {value: f'"{name}"' for value, name in DIRECTIONS.items()}
    return [texts.get(value, texts[0]) for value in events.column("direction").tolist()]


@cache
def _quality(bits: int) -> str:
    return orjson.dumps(quality_names(bits)).decode()


def _maps(columns: Mapping[str, NDArray[np.float64]]) -> list[str]:
    """A JSON object of each row, of the values that are finite."""
    cells = [
        [f'"{name}":{text}' if text != "null" else "" for text in _numbers(column)] for name, column in columns.items()
    ]
    return [f"{{{','.join(filter(None, row))}}}" for row in zip(*cells, strict=True)]
