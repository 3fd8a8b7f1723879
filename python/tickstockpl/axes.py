"""The two axes of a drawing: prices up, bars along, and what is written beside them."""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from itertools import pairwise

from tickstockpl.moments import moment_at

STEPS_MIN = (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440)
"""Minutes between two labels of the time axis; a day is their sum at most."""

DECIMALS = 12


@dataclass(frozen=True, slots=True)
class PriceAxis:
    """Prices from `low` to `high`, drawn from `bottom` up to `top`."""

    low: float
    high: float
    top: float
    bottom: float

    def y(self, price: float) -> float:
        """Where a price stands; one beyond the ends stands at the end."""
        share = (price - self.low) / (self.high - self.low)
        return self.bottom - min(max(share, 0.0), 1.0) * (self.bottom - self.top)

    def holds(self, price: float) -> bool:
        """Whether it is between the ends."""
        return self.low <= price <= self.high

    def ticks(self, count: int = 5) -> list[float]:
        """About so many prices at a round distance from each other; none below zero."""
        step = round_step((self.high - self.low) / count, self.high)
        first, last = math.ceil(max(self.low, 0.0) / step), math.floor(self.high / step)
        return [number * step for number in range(first, last + 1)] if last - first <= 4 * count else []

    def tick_text(self, price: float) -> str:
        """A tick's price: with as many decimals as tell it from the next one, and those of cents."""
        return _priced(price, self._decimals(0))

    def text(self, price: float) -> str:
        """A price that is no tick: a decimal more, if there is something in it."""
        text = _priced(price, self._decimals(1))
        whole, point, rest = text.partition(".")
        return f"{whole}.{rest.rstrip('0'):0<2}" if point and rest.isdigit() else text

    def _decimals(self, more: int) -> int:
        step = round_step((self.high - self.low) / 5, self.high)
        exact = next((n for n in range(DECIMALS) if math.isclose(step, round(step, n), rel_tol=1e-9)), DECIMALS)
        return min(max(2, exact + more), DECIMALS)


def _priced(price: float, decimals: int) -> str:
    """In plain digits, unless there were very many."""
    return f"{price:,.{decimals}f}" if price == 0.0 or 1e-9 <= abs(price) < 1e9 else f"{price:.5g}"


def round_step(span: float, largest: float) -> float:
    """The least of 1, 2, 2.5 and 5 times a power of ten that is not below `span`, nor lost in numbers as `largest`."""
    least = max(span, 4 * math.ulp(largest), sys.float_info.min)
    power = 10.0 ** math.floor(math.log10(least))
    return next((factor * power for factor in (1.0, 2.0, 2.5, 5.0) if factor * power >= least), 10.0 * power)


def span_of(prices: Sequence[float], levels: Sequence[float], most: float = 0.7) -> tuple[float, float]:
    """The prices that an axis has to reach: all of `prices`, and levels up to `most` of their span away."""
    low, high = min(prices), max(prices)
    if not high > low:
        room = max(abs(low) * 0.002, sys.float_info.min)
        low, high = low - room, high + room
    room = most * (high - low)
    near = [level for level in levels if low - room <= level <= high + room]
    return min(low, *near, low), max(high, *near, high)


def time_labels(ts_us: Sequence[int], slot: float, zone: tzinfo, room: float) -> Iterator[tuple[int, str, bool]]:
    """Which bars bear a label, in order: the bar's place, the text, and whether a day begins with it.

    slot: what a bar takes of the axis. room: what a label takes.
    """
    moments = [moment_at(each).astimezone(zone) for each in ts_us]
    begins = [at for at in range(1, len(moments)) if moments[at].date() != moments[at - 1].date()]
    minutes = sorted(b - a for a, b in pairwise(ts_us)) or [60_000_000]
    bar_min = max(1, minutes[len(minutes) // 2] // 60_000_000)  # what most bars are apart
    step_min = next((step for step in STEPS_MIN if step / bar_min * slot >= room), STEPS_MIN[-1])
    last = -math.inf
    for at, moment in enumerate(moments):
        is_day = at in begins
        next_day = min((begin for begin in begins if begin > at), default=math.inf)
        round_time = (60 * moment.hour + moment.minute) % step_min == 0
        if (is_day and (at - last) * slot >= room / 2) or (
            round_time and (at - last) * slot >= room and (next_day - at) * slot >= room
        ):
            yield at, _day_text(moment) if is_day else f"{moment:%H:%M}", is_day
            last = at
    if last == -math.inf:
        yield 0, f"{moments[0]:%H:%M}", False


def _day_text(moment: datetime) -> str:
    return f"{moment:%b} {moment.day}"
