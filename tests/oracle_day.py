"""One session of a symbol, slowly: its bars behind the 200 before its open, and what they come to, by bar.

Every list has a number a bar, None while there are too few bars for one. Nothing older than those 200 bars counts.
"""

import math
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from oracle_bars import Bar

BASE_BARS = 200
NARROWEST_OF = 120

Series = list[float | None]


class Session(NamedTuple):
    """A finished one."""

    open_us: int
    open: float
    high: float
    low: float
    close: float


class Day:
    def __init__(self, before: Sequence[Bar], bars: Sequence[Bar], open_us: int, openings: set[int]) -> None:
        """before: the bars until the open; `openings`: stamps of the bars that are the first of a session."""
        self.finished: list[Session] = []
        """Those before it, oldest first."""
        self.earlier: list[Day] = []
        """The same, with their bars."""
        base = before[max(0, len(before) - BASE_BARS) :]
        self.begin = len(base)
        """The place of the session's first bar."""
        self.bars = [*base, *bars]
        self.open_us = open_us
        self.openings = openings

    @property
    def own(self) -> range:
        """Places of the session's bars."""
        return range(self.begin, len(self.bars))

    def newest(self, at: int, n: int) -> list[Bar]:
        """The n bars up to this one."""
        return self.bars[at + 1 - n : at + 1]

    def minute(self, at: int) -> int:
        """Whole minutes since the open."""
        return (self.bars[at].ts_us - self.open_us) // 60_000_000

    @cached_property
    def volumes(self) -> Counter[int]:
        """By minute since the open, of the session's own bars; 0 of a minute without one."""
        volumes: Counter[int] = Counter()
        for at in self.own:
            volumes[self.minute(at)] += self.bars[at].volume
        return volumes

    @cached_property
    def closes(self) -> list[float]:
        return [bar.close for bar in self.bars]

    @cached_property
    def highs(self) -> list[float]:
        return [bar.high for bar in self.bars]

    @cached_property
    def lows(self) -> list[float]:
        return [bar.low for bar in self.bars]

    @cached_property
    def average_range(self) -> list[float]:
        """The mean of the true ranges so far, from the 14th on Wilder's; a session's first bar has its own range."""
        means: list[float] = []
        for at, bar in enumerate(self.bars):
            true_range = bar.range
            if at > 0 and bar.ts_us not in self.openings:
                previous = self.bars[at - 1].close
                true_range = max(bar.range, abs(bar.high - previous), abs(bar.low - previous))
            mean = means[-1] if means else 0.0
            means.append(mean + (true_range - mean) / min(at + 1, 14))
        return means

    @cached_property
    def atr(self) -> Series:
        """a: None before 14 bars, and where it is at most 0.00001 of the close: nothing is measured by so little."""
        means = enumerate(self.average_range)
        return [mean if at >= 13 and mean > 1e-5 * self.closes[at] else None for at, mean in means]

    @cached_property
    def ema(self) -> dict[int, list[float]]:
        """Exponential averages of the closes by their spans."""
        return {span: exponential(self.closes, span) for span in (9, 12, 20, 26)}

    def mean(self, at: int, n: int) -> float | None:
        """Of the last n closes, from how far they are from the newest: that of equal closes is the close itself."""
        if at + 1 < n:
            return None
        newest = self.closes[at]
        return newest + math.fsum(close - newest for close in self.closes[at + 1 - n : at + 1]) / n

    @cached_property
    def bands(self) -> list[tuple[float, float, float] | None]:
        """Bollinger's of 20 closes and 2 σ, n − 1: lower, middle, upper."""
        all_bands: list[tuple[float, float, float] | None] = []
        for at in range(len(self.bars)):
            middle = self.mean(at, 20)
            if middle is None:
                all_bands.append(None)
                continue
            off = [close - middle for close in self.closes[at - 19 : at + 1]]
            width = 2 * math.sqrt(math.fsum(one * one for one in off) / 19)
            all_bands.append((middle - width, middle, middle + width))
        return all_bands

    @cached_property
    def narrowest(self) -> list[bool]:
        """Whether the bands are narrower, beside their middle, than at any of the 119 bars before."""
        widths = [None if bands is None else (bands[2] - bands[0]) / bands[1] for bands in self.bands]
        answers = []
        for at, width in enumerate(widths):
            before = [one for one in widths[max(0, at - NARROWEST_OF + 1) : at] if one is not None]
            answers.append(width is not None and len(before) == NARROWEST_OF - 1 and width < min(before))
        return answers

    @cached_property
    def squeezed(self) -> list[bool]:
        """Whether Bollinger's bands lie within Keltner's: an exponential average of 20 closes ± 1.5a."""
        middles = self.ema[20]
        return [
            bands is not None and bands[2] < middle + 1.5 * a and bands[0] > middle - 1.5 * a
            for bands, middle, a in zip(self.bands, middles, self.average_range, strict=True)
        ]

    @cached_property
    def rsi(self) -> Series:
        """100 − 100/(1 + G/L) of pandas' `ewm(alpha=1/14, adjust=False)`; none before 14 bars and before a move."""
        alpha = 1.0 / (1.0 + (1.0 - 1.0 / 14.0) / (1.0 / 14.0))
        moves = [0.0, *(after - before for before, after in zip(self.closes, self.closes[1:], strict=False))]
        gains = smoothed([max(move, 0.0) for move in moves], alpha)
        losses = smoothed([max(-move, 0.0) for move in moves], alpha)
        index: Series = []
        for at, (gain, loss) in enumerate(zip(gains, losses, strict=True)):
            if at < 13 or gain == loss == 0:
                index.append(None)
            elif gain == 0 or loss == 0:
                index.append(0.0 if gain == 0 else 100.0)
            else:
                index.append(100.0 - 100.0 / (1.0 + gain / loss))
        return index

    @cached_property
    def ema_9_20(self) -> Series:
        return behind(19, difference(self.ema[9], self.ema[20]))

    @cached_property
    def ema_12_26(self) -> Series:
        return behind(25, difference(self.ema[12], self.ema[26]))

    @cached_property
    def histogram(self) -> Series:
        """Of MACD 12/26/9."""
        line = difference(self.ema[12], self.ema[26])
        return behind(33, difference(line, exponential(line, 9)))

    @cached_property
    def sma_50_200(self) -> Series:
        means = [(self.mean(at, 50), self.mean(at, 200)) for at in range(len(self.bars))]
        return [None if fast is None or slow is None else fast - slow for fast, slow in means]

    @cached_property
    def raw_k(self) -> Series:
        """Where the close lies in the range of 14 bars, in percent; 50 where there is none."""
        answers: Series = []
        for at, bar in enumerate(self.bars):
            if at < 13:
                answers.append(None)
                continue
            high, low = max(self.highs[at - 13 : at + 1]), min(self.lows[at - 13 : at + 1])
            flat = high - low <= 1e-14 * (abs(high) + abs(low))
            answers.append(50.0 if flat else 100.0 * ((bar.close - low) / (high - low)))
        return answers

    @cached_property
    def k_less_d(self) -> Series:
        """Stochastic 14/1/3: %K less the mean of the last three; 0 where only rounding keeps them apart."""
        answers: Series = []
        for at, k in enumerate(self.raw_k):
            last = [one for one in self.raw_k[max(0, at - 2) : at + 1] if one is not None]
            off = None if k is None or len(last) < 3 else k - sum(last) / 3
            answers.append(0.0 if off is not None and abs(off) < 1e-9 else off)
        return answers

    @cached_property
    def off_vwap(self) -> Series:
        """Close less the session's VWAP of typical prices, its mean moved bar by bar; none before the open."""
        answers: Series = [None] * self.begin
        mean = volume = 0.0
        for bar in self.bars[self.begin :]:
            volume += bar.volume
            if bar.volume > 0:
                mean += bar.volume / volume * ((bar.high + bar.low + bar.close) / 3 - mean)
            answers.append(bar.close - mean if volume > 0 else None)
        return answers

    @cached_property
    def line(self) -> list[tuple[float, float] | None]:
        """Slope and R² of the least squares line through 10 closes."""
        return [None if at < 9 else line_through(self.closes[at - 9 : at + 1]) for at in range(len(self.bars))]

    def mean_volume(self, at: int, n: int) -> float | None:
        """Of the n bars before."""
        return None if at < n else sum(bar.volume for bar in self.bars[at - n : at]) / n

    @cached_property
    def busy(self) -> list[bool]:
        """Whether a bar traded 1.5 times the mean of the 20 before it."""
        means = [self.mean_volume(at, 20) for at in range(len(self.bars))]
        return [bool(mean) and bar.volume >= 1.5 * (mean or 0) for bar, mean in zip(self.bars, means, strict=True)]


def smoothed(values: Sequence[float], alpha: float) -> list[float]:
    """pandas' `ewm(alpha=alpha, adjust=False).mean()`, in its order of operations."""
    means: list[float] = []
    for value in values:
        if not means:
            means.append(value)
        elif means[-1] == value:
            means.append(means[-1])
        else:
            means.append((1 - alpha) * means[-1] + alpha * value)
    return means


def exponential(values: Sequence[float], span: int) -> list[float]:
    """pandas' `ewm(span=span, adjust=False).mean()`."""
    return smoothed(values, 1.0 / (1.0 + (span - 1.0) / 2.0))


def difference(one: Sequence[float], other: Sequence[float]) -> list[float]:
    return [a - b for a, b in zip(one, other, strict=True)]


def behind(warm: int, values: Sequence[float]) -> Series:
    """None for the first `warm` of them."""
    return [None if at < warm else value for at, value in enumerate(values)]


def line_through(closes: Sequence[float]) -> tuple[float, float]:
    """Slope and R² of their least squares line, from how far each is from the newest; R² is 0 for equal closes."""
    n = len(closes)
    off = [close - closes[-1] for close in reversed(closes)]
    places = [(n - 1) / 2 - back for back in range(n)]
    across = n * (n * n - 1) / 12
    product = sum(place * one for place, one in zip(places, off, strict=True))
    spread = sum(one * one for one in off) - sum(off) * sum(off) / n
    return product / across, product * product / (across * spread) if spread > 0 else 0.0
