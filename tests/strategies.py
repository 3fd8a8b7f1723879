"""Random feeds: messages as AppV2 sends them, and streams of calls on an engine; all from hypothesis.

A feed is drawn as small numbers and then laid out in time by `calls_of`, so that a failure shrinks to few short steps.
"""

import json
import os
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from oracle import MINUTE, SECOND, Rules

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=50,
    phases=(Phase.explicit, Phase.generate),  # a feed shrinks for minutes: HYPOTHESIS_PROFILE=deep does that
    suppress_health_check=list(HealthCheck),
)
settings.register_profile(
    "deep", deadline=None, database=None, max_examples=2000, suppress_health_check=list(HealthCheck)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

T0 = 1_757_599_200 * SECOND  # 2025-09-11 14:00:00 UTC
SYMBOLS = ("AAPL", "MSFT", "ZZTEST1")
SESSIONS = tuple((T0 + at * MINUTE, T0 + (at + 20) * MINUTE) for at in (5, 45, 85, 125))
STEPS_S = (0, 0, 0.25, 1, 1, 2, 7, 20, 30, 61, 61, 240, 2400)
STEPS_US = tuple(round(step * SECOND) for step in STEPS_S)
LATE_S = (-0.5, -1, -1, -2, -7, -30, -61, -65, -70, -130, -190, -901, -1000, -3600)
AHEAD_S = (3, 30, 60, 61, 2400)
OFFSETS_US = tuple(round(offset * SECOND) for offset in (0, 0, 0, 0, *LATE_S, *AHEAD_S))
REGULAR_SALES: tuple[list[int] | None, ...] = (None, [], [0])
CONDITIONS = (*REGULAR_SALES, [37], [12], [12, 37], [15], [10], [38], [5], [22, 41], [99], [62, 2], [16])
BASE_PRICE = 100.0


def message(
    symbol: str = "AAPL",
    ts_us: int = T0 + SECOND,
    kind: str = "A",
    price: float = 100.0,
    volume: float = 100,
    **more: Any,
) -> dict[str, Any]:
    """One tick with AppV2's 14 keys in AppV2's order; `more` replaces or adds fields."""
    return {
        "ticker": symbol,
        "price": price,
        "volume": volume,
        "timestamp": ts_us / 1e6,
        "event_type": kind,
        "source": "polygon",
        "tick_open": None,
        "tick_high": None,
        "tick_low": None,
        "tick_close": price,
        "tick_volume": volume,
        "tick_vwap": None,
        "bid": None,
        "ask": None,
    } | more


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def _bad(**fields: Any) -> bytes:
    return encoded(message("BAD", T0) | fields)


def _without(name: str) -> bytes:
    return encoded({key: value for key, value in message("BAD", T0).items() if key != name})


BAD: dict[str, tuple[bytes, ...]] = {
    "bad_json": (
        b"",
        b"{",
        b"not json",
        b'{"ticker": "BAD",}',
        encoded(message())[:-1],
        b'{"ticker": "\xff"}',
        b'{"ticker": "A\nB"}',
        b"[" * 129 + b"]" * 129,
        encoded(message()) + b"}",
        b"[" + encoded(message()) + b", oops]",
    ),
    "not_an_object": (b"1", b'"text"', b"null", b"true", b"[[]]", b"[null]", b"NaN"),
    "too_large": (b" " * 65_536 + b"{}",),
    "missing_field": (
        b"{}",
        b'{"test": "permission_check"}',
        _without("ticker"),
        _without("event_type"),
        _without("timestamp"),
        _without("price"),
        _bad(ticker=None),
        _bad(volume=None, tick_volume=None),
    ),
    "wrong_type": (
        _bad(ticker=5),
        _bad(event_type=1),
        _bad(timestamp="2025-09-11T14:30:00Z"),
        _bad(price="227.43"),
        _bad(price=True),
        _bad(tick_high="1"),
        _bad(tick_volume="100"),
        _bad(volume=False, tick_volume=None),
        _bad(seq="7"),
        _bad(source=7),
        _bad(conditions=37),
        _bad(conditions=["37"]),
        _bad(conditions=[1.5]),
        _bad(tick_start_timestamp="0"),
    ),
    "bad_ticker": (
        _bad(ticker=""),
        _bad(ticker="A" * 21),
        _bad(ticker="A B"),
        _bad(ticker="A\x00"),
        _bad(ticker="A\x7f"),
    ),
    "bad_price": (
        _bad(price=0),
        _bad(price=-1.5),
        _bad(price=float("nan")),
        _bad(price=float("inf")),
        _bad(price=float("-inf")),
        _bad(tick_open=0),
        _bad(tick_low=-1),
        _bad(tick_vwap=float("nan")),
    ),
    "bad_volume": (
        _bad(tick_volume=-1),
        _bad(tick_volume=1.5),
        _bad(tick_volume=float("inf")),
        _bad(tick_volume=1e16),
        _bad(tick_volume=None, volume=-5),
        _bad(seq=-1),
        _bad(accumulated_volume=-1),
    ),
    "bad_timestamp": (
        _bad(timestamp=946_684_799),
        _bad(timestamp=4_102_444_801),
        _bad(timestamp=T0 / 1000),
        _bad(timestamp=0),
        _bad(timestamp=-1),
        _bad(timestamp=float("nan")),
        _bad(tick_start_timestamp=T0 / 1e6 - 61),
        _bad(tick_start_timestamp=T0 / 1e6 + 1),
    ),
    "unknown_kind": (_bad(event_type="tick_data"), _bad(event_type="AM"), _bad(event_type=""), _bad(event_type="a")),
}
"""Bytes that must be refused, by the reason that must be given; each is one refused tick."""


@dataclass(frozen=True)
class Ingest:
    payloads: tuple[bytes, ...]
    now_us: int
    channel: int


@dataclass(frozen=True)
class Advance:
    now_us: int


@dataclass(frozen=True)
class Subscribed:
    now_us: int
    first: bool


@dataclass(frozen=True)
class Flush:
    pass


Call = Ingest | Advance | Subscribed | Flush


PRICES = tuple(BASE_PRICE + cents / 100 + rest for cents in range(9) for rest in (0, 0.001, 0.004, 0.006))
"""Few, so that ties occur; never half a cent, where rounding has a rule of its own."""
KINDS = "AAAAATTTQ"
VOLUMES = (100, 1, 2, 3.0, 0)
OPTIONAL = ("tick_open", "tick_high", "tick_low", "tick_close", "tick_vwap")


def tick_of(main: int, prices: int, rest: int) -> dict[str, Any]:
    """One good tick out of three numbers, each read digit by digit: a draw is dear, a division is not.

    The tick has no stamp yet: `offset_us` says how far it is off the feed's clock, `lost_before` how many like it
    nobody has received; without that it does not say what it follows.
    """
    main, kind = divmod(main, len(KINDS))
    main, symbol = divmod(main, len(SYMBOLS))
    main, offset = divmod(main, len(OFFSETS_US))
    main, volume = divmod(main, len(VOLUMES))
    tick = message(SYMBOLS[symbol], 0, KINDS[kind], PRICES[main % len(PRICES)], VOLUMES[volume])
    for name in OPTIONAL:
        prices, digit = divmod(prices, 12)
        if digit:
            tick[name] = PRICES[3 * (digit - 1)]
    rest, condition = divmod(rest, len(CONDITIONS))
    if condition:
        tick["conditions"] = CONDITIONS[condition]
    rest, seq = divmod(rest, 3)
    if KINDS[kind] == "T" and seq:
        tick["seq"] = seq
    if KINDS[kind] == "A" and rest:
        tick["lost_before"] = rest - 1
    if KINDS[kind] == "Q":
        tick["tick_volume"] = None
    return tick | {"offset_us": OFFSETS_US[offset]}


def ticks() -> st.SearchStrategy[dict[str, Any]]:
    wide = st.integers(0, 12 ** len(OPTIONAL) - 1)
    rest = st.integers(0, 12 * len(CONDITIONS) - 1)
    return st.builds(tick_of, st.integers(0, 2**22 - 1), st.just(0) | wide, st.just(0) | st.just(0) | rest)


def _elements() -> st.SearchStrategy[dict[str, Any] | bytes | int]:
    """A good tick, a bad message, or (an int) the nth last good tick once more."""
    bad = st.sampled_from([payload for reason in sorted(BAD) for payload in BAD[reason] if len(payload) < 1000])
    good = [ticks() for _ in range(9)]  # one_of takes each object once, so weight needs distinct ones
    return st.one_of(*good, st.integers(1, 4), bad)


GROUPS = st.lists(st.lists(_elements(), min_size=1, max_size=3), min_size=1, max_size=4)


@st.composite
def steps(draw: st.DrawFn) -> dict[str, Any]:
    """One step of a feed: time passes, then a burst of messages on one channel, or a call."""
    what = draw(st.sampled_from(("burst",) * 12 + ("advance", "advance", "subscribed", "flush")))
    step: dict[str, Any] = {"what": what, "pass_us": draw(st.sampled_from(STEPS_US))}
    if what == "burst":
        step["channel"] = draw(st.sampled_from((0, 0, 1)))
        step["groups"] = draw(GROUPS)
    return step


def calls_of(feed: list[dict[str, Any]], delay_us: int, is_live: bool) -> list[Call]:
    """Lay the steps out in time: the feed's clock starts at T0, ours is `delay_us` ahead of it.

    A live feed starts with the first subscription; any other subscription is a later one.
    """
    at_us = T0
    sent: list[dict[str, Any]] = []
    numbers, volumes = Counter[int](), Counter[str]()
    calls: list[Call] = [Subscribed(T0 + delay_us, first=True)] if is_live else []
    for step in feed:
        at_us += step["pass_us"]
        now_us = at_us + delay_us
        if step["what"] == "advance":
            calls.append(Advance(now_us))
        elif step["what"] == "subscribed":
            calls.append(Subscribed(now_us, first=False))
        elif step["what"] == "flush":
            calls.append(Flush())
        else:
            payloads: list[bytes] = []
            for group in step["groups"]:
                together: list[dict[str, Any]] = []
                for element in group:
                    if isinstance(element, bytes):
                        payloads.append(element)
                    elif isinstance(element, int):
                        together.extend(sent[-element:][:1])
                    else:
                        tick = {key: value for key, value in element.items() if key not in {"offset_us", "lost_before"}}
                        tick["timestamp"] = (at_us + element["offset_us"]) / 1e6
                        if "lost_before" in element:
                            many = 1 + element["lost_before"]
                            numbers[step["channel"]] += many
                            volumes[tick["ticker"]] += many * int(tick["tick_volume"])
                            tick["seq"] = numbers[step["channel"]]
                            tick["accumulated_volume"] = volumes[tick["ticker"]]
                        sent.append(tick)
                        together.append(tick)
                if len(together) == 1:
                    payloads.append(encoded(together[0]))
                elif together:
                    payloads.append(encoded(together))
            calls.append(Ingest(tuple(payloads), now_us, step["channel"]))
    return calls


def feeds(max_steps: int = 30) -> st.SearchStrategy[list[Call]]:
    short = st.lists(steps(), min_size=1, max_size=max_steps)
    long = st.lists(steps(), min_size=max_steps * 2 // 3, max_size=max_steps)
    return st.builds(calls_of, short | long, st.sampled_from((200_000, 0, 15 * MINUTE)), st.booleans())


def rules() -> st.SearchStrategy[Rules]:
    return st.builds(
        Rules,
        lateness_a_s=st.sampled_from((2.0, 0.0, 0.5)),
        lateness_t_s=st.sampled_from((5.0, 0.0)),
        revise_s=st.sampled_from((900.0, 60.0)),
        max_symbols=st.sampled_from((20_000, 20_000, 20_000, 2)),
        price_scale=st.sampled_from((None, 2)),
        seq_counts=st.booleans(),
        volume_checked=st.sampled_from((True, True, False)),
        regular=st.sampled_from((SESSIONS, ())),
    )


def exploded(calls: list[Call]) -> list[Call]:
    """The same feed with every array of ticks sent as one message a tick."""
    return [
        replace(call, payloads=tuple(_singles(call.payloads))) if isinstance(call, Ingest) else call for call in calls
    ]


def _singles(payloads: tuple[bytes, ...]) -> list[bytes]:
    singles: list[bytes] = []
    for payload in payloads:
        try:
            value = json.loads(payload)
        except ValueError:
            value = None
        is_array = isinstance(value, list) and all(isinstance(one, dict) for one in value)
        singles.extend([encoded(one) for one in value] if is_array else [payload])
    return singles
