"""Messages that must be refused, each with the reason that the service has to name."""

import json
from typing import Any, Final

import numpy as np

# Reasons that spoil a whole message; the others spoil one tick, also inside an array.
WHOLE: Final[dict[str, tuple[bytes, ...]]] = {
    "bad_json": (b'{"ticker": "', b"\xff\xfe", b"tick", b"", b"{'ticker': 'ZZTEST1'}", b"[" * 200, b'{"a": "\x01"}'),
    "not_an_object": (b"42", b'"ZZTEST1"', b"null", b"true"),
    "too_large": (b'{"ticker": "ZZTEST1", "pad": "' + b"x" * 65_536 + b'"}',),
}
# (member, value); a value of None leaves the member out.
SINGLE: Final[dict[str, tuple[tuple[str, Any], ...]]] = {
    "missing_field": (("ticker", None), ("event_type", None), ("timestamp", None), ("price", None)),
    "wrong_type": (("price", "227.43"), ("timestamp", "2026-11-20T14:31:00Z"), ("tick_high", True), ("ticker", 7)),
    "bad_ticker": (("ticker", ""), ("ticker", "ZZ TEST"), ("ticker", "Z" * 21)),
    "bad_price": (("price", 0.0), ("price", -1.0), ("price", float("nan")), ("tick_low", float("inf"))),
    "bad_volume": (("tick_volume", -5), ("tick_volume", 1.5), ("tick_volume", 1e300)),
    "bad_timestamp": (("timestamp", 0.0), ("timestamp", 4_102_444_801.0), ("timestamp", float("nan"))),
    "unknown_kind": (("event_type", "X"), ("event_type", "trade")),
    "future": (("timestamp", 4_102_444_799.0),),
}
REASONS: Final = tuple(WHOLE) + tuple(SINGLE)


def broken_message(random: np.random.Generator, good: str) -> tuple[str, bytes | str]:
    """A reason and a message that must be refused for it: bytes if it can only be sent alone, else a tick's JSON.

    good: the tick to spoil.
    """
    reason = REASONS[int(random.integers(len(REASONS)))]
    if reason in WHOLE:
        return reason, WHOLE[reason][int(random.integers(len(WHOLE[reason])))]
    member, value = SINGLE[reason][int(random.integers(len(SINGLE[reason])))]
    tick = json.loads(good)
    tick[member] = value
    if value is None:
        del tick[member]
    return reason, json.dumps(tick)
