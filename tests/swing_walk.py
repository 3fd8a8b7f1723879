"""Random bars that swing: legs of some bars to and fro, now and then along a figure that a chart pattern is made of."""

import random
from collections.abc import Iterator

from oracle_bars import Bar
from pattern_play import MINUTE_US, MONDAY_US

FIGURES = (
    (10, 0, 10, -8),
    (12, 2, 12, 2, 12, -6),
    (10, 3, 16, 4, 10, -6),
    (14, 2, 13, 5, 12, -4),
    (10, -1, 12, -3, 14, -9),
    (12, 2, 15, 6, 18, 0),
    (14, 4, 16, 10, 18, 6),
    (12, 0, 12, 4, 12, 20),
)
"""Where the legs of a figure end, in units of its size, from where it begins; as they stand or upside down."""

Leg = tuple[int, int, int]
"""Where it ends, in how many bars, and how far a bar strays from it."""


def legs(rng: random.Random, price: int, scale: int) -> Iterator[Leg]:
    """The next legs from a price on."""
    size, sign = scale * rng.choice((1, 1, 2)), rng.choice((-1, 1))
    stray, speed = rng.choice((0, scale // 4, scale // 2)), scale * rng.choice((1, 2, 2, 3))
    kind = rng.choices(("figure", "flag", "leg", "pause", "quiet"), (4, 2, 12, 3, 1))[0]
    if kind == "figure":
        start = price
        for end in rng.choice(FIGURES):
            target = start + sign * end * size + rng.randint(-stray, stray)
            yield target, max(2, abs(target - price) // speed), stray
            price = target
    elif kind == "flag":
        pole = sign * size * rng.randint(18, 30)
        yield price + pole, rng.randint(4, 9), stray
        yield price + round(0.6 * pole), rng.randint(2, 4), stray
        for step in range(rng.randint(2, 5)):
            yield price + round(rng.choice((0.65, 0.8)) * pole), rng.randint(1, 3), stray // (step + 1)
        yield price + round(1.1 * pole), 3, stray
    elif kind == "leg":
        away = sign * scale * rng.choice((4, 8, 12, 20))
        yield price + away, max(2, abs(away) // speed), stray
    else:
        yield price, rng.randint(5, 14) if kind == "pause" else rng.choice((30, 60)), 1 if kind == "quiet" else stray


def swings(seed: int, bars: int, *, units: int, step: float, start_us: int = MONDAY_US) -> list[Bar]:
    """Whole multiples of `step`, about `units` of them; a bar a minute, each in reach of the one before."""
    rng = random.Random(seed)
    scale = max(4, units // 2_000)
    price, made = units, list[Bar]()
    while len(made) < bars:
        busy = 8 if rng.random() < 0.2 else 1
        for target, length, stray in legs(rng, units + round(0.95 * (price - units)), scale):
            for left in range(length, 0, -1):
                start = max(2, price + rng.choice((0, 0, rng.randint(-stray, stray))))
                price = max(2, price + round((target - price) / left) + rng.randint(-stray, stray))
                top = max(start, price) + rng.choice((0, 0, 1, stray, 2 * stray))
                bottom = max(1, min(start, price) - rng.choice((0, 0, 1, stray, 2 * stray)))
                ts_us, volume = start_us + len(made) * MINUTE_US, rng.randint(0, 400) * rng.randint(1, busy)
                made.append(Bar(ts_us, start * step, top * step, bottom * step, price * step, volume))
    return made[:bars]
