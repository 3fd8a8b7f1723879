"""A simulated market as AppV2 would publish it: per-second `A` messages, with the true 1-minute bars kept beside them.

The same `Market` always gives the same bytes. Faults (late, duplicate and broken messages, bursts, arrays) change how
the ticks travel, never the market: the true bars stay the same, and a right service ends with exactly these.
"""

import asyncio
import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from tickstockpl.dev.broken import broken_message
from tickstockpl.dev.feed import (
    Batch,
    Sent,
    aggregate_message,
    live_symbols,
    message_head,
    message_tail,
    packed,
    publish,
)
from tickstockpl.dev.market import SECONDS, Minute, Walk
from tickstockpl.dev.progress import progress
from tickstockpl.errors import SettingsError
from tickstockpl.moments import MINUTE_US

SECOND_US: Final = 1_000_000
LATEST_S: Final = 5
"""A late message comes 1 to this many seconds after its time, a repeated one 0 to this many."""
_LONGEST_BURST_S = 10
TEST_PREFIX: Final = "ZZTEST"


def test_symbols(count: int) -> tuple[str, ...]:
    """`ZZTEST1`, `ZZTEST2`, …: tickers that no exchange has."""
    return tuple(f"{TEST_PREFIX}{n}" for n in range(1, count + 1))


test_symbols.__test__ = False  # type: ignore[attr-defined]  # pytest would take the name for a test


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What to simulate. Rates are shares of all ticks (bursts: of all minutes), 0 to 1.

    start_us: rounded down to the minute. pack: ticks per message, more than 1 makes JSON arrays.
    bursts: minutes in which the feed holds its breath for 2 to 10 seconds and then sends everything at once.

    Raises SettingsError for values out of range.
    """

    symbols: tuple[str, ...]
    start_us: int
    minutes: int
    seed: int = 1
    source: str = "polygon"
    bursts: float = 0.0
    late: float = 0.0
    duplicate: float = 0.0
    broken: float = 0.0
    pack: int = 1

    def __post_init__(self) -> None:
        for name in ("bursts", "late", "duplicate", "broken"):
            if not 0.0 <= (rate := getattr(self, name)) <= 1.0:
                raise SettingsError(f"{name} must be a rate from 0 to 1, was {rate}")
        for name, value in (("symbols", len(self.symbols)), ("minutes", self.minutes), ("pack", self.pack)):
            if value < 1:
                raise SettingsError(f"{name} must be at least 1, was {value}")
        if self.seed < 0:
            raise SettingsError(f"seed must be at least 0, was {self.seed}")


@dataclass(frozen=True, slots=True)
class TrueBars:
    """The bars that a right service makes of a market: columns of equal length, by time, then by symbol.

    `symbol` indexes `symbols`; `ts_us` is the START of the minute; prices are float64, exactly as in the messages.
    """

    symbols: tuple[str, ...]
    symbol: NDArray[np.int64]
    ts_us: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.int64]
    vwap: NDArray[np.float64]
    trades: NDArray[np.int64]
    """Messages per bar."""

    def __len__(self) -> int:
        return len(self.ts_us)

    def rows(self) -> Iterator[tuple[str, int, float, float, float, float, int]]:
        """(symbol, ts_us, open, high, low, close, volume) of every bar."""
        columns = (self.ts_us, self.open, self.high, self.low, self.close, self.volume)
        names = [self.symbols[n] for n in self.symbol.tolist()]
        return zip(names, *(column.tolist() for column in columns), strict=True)

    def write_csv(self, path: Path) -> None:
        """Keep the bars in a file: symbol, ts_us, open, high, low, close, volume."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("symbol", "ts_us", "open", "high", "low", "close", "volume"))
            writer.writerows(self.rows())


class _Dollars(dict[int, str]):
    """Cents → the JSON text of the price. Printing a float costs more than all else in a message; prices recur."""

    def __missing__(self, cents: int) -> str:
        text = self[cents] = str(cents / 100)
        return text


class Simulation:
    """One run through a market. Iterate over `batches()` once; the counts and the true bars grow with it."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.ticks = 0
        """Good ticks, each counted once."""
        self.late = 0
        self.duplicates = 0
        self.broken: Counter[str] = Counter()
        """Broken messages and ticks by the reason for which they must be refused."""
        self._walk = Walk(len(market.symbols), market.seed)
        self._faults = np.random.default_rng([market.seed, 1])
        self._heads = [message_head(symbol) for symbol in market.symbols]
        self._mid, _ = message_tail(market.source)
        self._dollars = _Dollars()
        self._start_us = market.start_us // MINUTE_US * MINUTE_US
        self._bars: list[tuple[NDArray[np.generic], ...]] = []
        self._delayed: dict[int, list[str]] = {}

    def batches(self) -> Iterator[Batch]:
        """One batch a second, due at the second's end."""
        held: list[str | bytes] = []
        hold_until = 0
        for minute in range(self.market.minutes):
            burst = self._burst()
            seconds = self._minute(minute)
            for second, messages in enumerate(seconds):
                number = minute * SECONDS + second
                if burst is not None and second == burst[0]:
                    hold_until = number + burst[1]
                out = messages if self._clean else self._disturbed(number, messages)
                held += out
                if number >= hold_until and held:
                    yield self._batch(held, number)
                    held = []
        end = self.market.minutes * SECONDS
        for number in sorted({end, *self._delayed}):
            held += self._delayed.pop(number, [])
            if held:
                yield self._batch(held, number)
                held = []

    def true_bars(self) -> TrueBars:
        """The bars of the minutes simulated so far."""
        symbol, ts_us, opened, high, low, close, volume, vwap, trades = (
            np.concatenate(column) for column in zip(*self._bars, strict=True)
        )
        return TrueBars(self.market.symbols, symbol, ts_us, opened, high, low, close, volume, vwap, trades)

    @property
    def _clean(self) -> bool:
        return not (self.market.late or self.market.duplicate or self.market.broken)

    def _burst(self) -> tuple[int, int] | None:
        """(first second, length) of this minute's burst."""
        if self.market.bursts == 0 or self._faults.random() >= self.market.bursts:
            return None
        return int(self._faults.integers(SECONDS)), int(self._faults.integers(2, _LONGEST_BURST_S + 1))

    def _batch(self, messages: list[str | bytes], number: int) -> Batch:
        singles = [text for text in messages if isinstance(text, str)]
        wholes = [text for text in messages if isinstance(text, bytes)]
        payloads = packed(singles, self.market.pack) + wholes
        return Batch(payloads, self._start_us + (number + 1) * SECOND_US, len(messages))

    def _minute(self, minute: int) -> list[list[str]]:
        """The messages of one minute by second; its true bars are kept."""
        start_us = self._start_us + minute * MINUTE_US
        seconds = self._walk.minute()
        self._bars.append(true_minute(seconds, start_us))
        by_second = seconds.traded.T
        at, symbol = np.nonzero(by_second)
        cents = (seconds.open, seconds.high, seconds.low, seconds.close)
        stamps = [str(start_us // SECOND_US + n + 1.0) for n in range(SECONDS)]
        heads, mid, dollars = self._heads, self._mid, self._dollars
        texts = [
            aggregate_message(
                heads[n], mid, stamps[s], dollars[opened], dollars[high], dollars[low], dollars[close], volume, vwap
            )
            for n, s, opened, high, low, close, volume, vwap in zip(
                symbol.tolist(),
                at.tolist(),
                *(column.T[by_second].tolist() for column in cents),
                seconds.volume.T[by_second].tolist(),
                (seconds.vwap_e4.T[by_second] / 10_000).tolist(),
                strict=True,
            )
        ]
        self.ticks += len(texts)
        edges = np.concatenate([[0], np.cumsum(by_second.sum(axis=1))]).tolist()
        return [texts[a:b] for a, b in pairwise(edges)]

    def _disturbed(self, number: int, messages: list[str]) -> list[str | bytes]:
        """What really goes out in this second: some ticks come later, some twice, some broken ones between."""
        market, random = self.market, self._faults
        out: list[str | bytes] = []
        late = random.random(len(messages)) < market.late
        twice = random.random(len(messages)) < market.duplicate
        broken = random.random(len(messages)) < market.broken
        self.late += int(late.sum())
        self.duplicates += int(twice.sum())
        out += self._delayed.pop(number, [])
        for n, text in enumerate(messages):
            if late[n]:
                self._delay(number + int(random.integers(1, LATEST_S + 1)), text)
            else:
                out.append(text)
            if twice[n]:
                after = int(random.integers(0, LATEST_S + 1))
                if after:
                    self._delay(number + after, text)
                else:
                    out.append(text)
            if broken[n]:
                reason, message = broken_message(random, text)
                self.broken[reason] += 1
                out.append(message)
        return out

    def _delay(self, number: int, text: str) -> None:
        self._delayed.setdefault(number, []).append(text)


def true_minute(seconds: Minute, start_us: int) -> tuple[NDArray[np.generic], ...]:
    """Fold one minute of seconds into bars, for symbols that traded in it; `TrueBars`' columns in order.

    A second is stamped with its END, so the 60 seconds of a minute are those stamped :01 to the next :00, all of
    which `Walk` drew for this minute.
    """
    traded = seconds.traded
    some = np.flatnonzero(traded.any(axis=1))
    first = traded.argmax(axis=1)[some]
    last = SECONDS - 1 - traded[:, ::-1].argmax(axis=1)[some]
    volume = np.where(traded, seconds.volume, 0)
    notional_e4 = (volume * seconds.vwap_e4).sum(axis=1)[some]
    return (
        some,
        np.full(len(some), start_us),
        seconds.open[some, first] / 100,
        np.where(traded, seconds.high, 0).max(axis=1)[some] / 100,
        np.where(traded, seconds.low, np.iinfo(np.int64).max).min(axis=1)[some] / 100,
        seconds.close[some, last] / 100,
        volume.sum(axis=1)[some],
        notional_e4 / volume.sum(axis=1)[some] / 10_000,
        traded.sum(axis=1)[some],
    )


async def simulate(
    url: str,
    channel: str,
    market: Market,
    *,
    speed: float = 1.0,
    origin_us: int | None = None,
    truth: Path | None = None,
    may_join: Callable[[str], bool] | None = None,
    stop: asyncio.Event | None = None,
    console: Console | None = None,
) -> tuple[Sent, Simulation]:
    """Publish a simulated market and return what was sent and the simulation, with its true bars.

    speed: event seconds per second; 0 is as fast as the subscribers can take it. origin_us: the event time that is
    now (default: the market's start); a live market starts and has its origin now. truth: a CSV for the true bars.
    may_join: asked, with a question, before ticks go to a channel that carries somebody else's; None refuses.
    Shows progress on `console` (default: standard error).

    Raises SettingsError for a market that a service must refuse, a channel in use or a file that cannot be written,
    ServerError if Redis cannot be used.
    """
    if speed < 0:
        raise SettingsError(f"speed must be at least 0, was {speed}")
    _refuse_future(market, speed, origin_us, time.time_ns() // 1000)
    if others := await live_symbols(url, channel, TEST_PREFIX):
        about = f"{channel} carries live ticks ({', '.join(others[:5])}{', …' if len(others) > 5 else ''})"
        if may_join is None or not await asyncio.to_thread(may_join, f"{about}. Send simulated ones among them?"):
            raise SettingsError(f"{about}; simulated ticks stay away: use another channel or another Redis")
    if truth is not None:
        _may_write(truth)
    simulation = Simulation(market)
    console = console or Console(stderr=True)
    with progress("simulate", market.minutes * MINUTE_US, console) as report:
        sent = await publish(
            url,
            channel,
            simulation.batches(),
            speed=speed,
            origin_us=origin_us,
            stop=stop,
            progress=lambda sent: report(
                sent.due_us - market.start_us // MINUTE_US * MINUTE_US, f"{sent.ticks:,} ticks, {sent.rate:,.0f}/s"
            ),
        )
    if truth is not None:
        simulation.true_bars().write_csv(truth)
    return sent, simulation


def _may_write(file: Path) -> None:
    """Make the file, if it is not there; to be refused at the end would cost the whole run."""
    try:
        file.open("a", encoding="utf-8").close()
    except OSError as error:
        raise SettingsError(f"the true bars cannot be written to {file}: {error.strerror}") from None


def _refuse_future(market: Market, speed: float, origin_us: int | None, now_us: int) -> None:
    """Stamps ahead of the clock are refused by every service; say so before half an hour has been sent for nothing."""
    start_us = market.start_us // MINUTE_US * MINUTE_US
    end_us = start_us + market.minutes * MINUTE_US
    origin_us = start_us if origin_us is None else origin_us
    # With a speed below 1 the clock gains on the market, so its start is what lies furthest ahead.
    for event_us in (start_us, end_us):
        due_us = now_us + (max(event_us - origin_us, 0) / speed if speed > 0 else 0)
        if event_us > due_us + SECOND_US:
            raise SettingsError(
                f"the market would be {(event_us - due_us) / 1e6:,.0f} s ahead of the clock, and services refuse the "
                "future: start it earlier, shorten it, or play it at speed 1 from now"
            )
