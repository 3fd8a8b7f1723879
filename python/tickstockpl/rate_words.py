"""What a table of rates says, in plain words, for people who would trade on it."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from tickstockpl.calibration import DIRECTIONS, TERCILES, Base, Bucket, Calibration, Group, HeldOut, Key
from tickstockpl.moments import moment_at
from tickstockpl.vocabulary import INTERVALS_S

AIM: Final = 0.9
"""The share of rows that a held-out check is to bear out."""

_MANY = 200
"""Events from which on a row is named as the best or the worst."""


class Said(NamedTuple):
    """One thing that the table says: what it is about, and the sentences."""

    about: str
    text: str


def ranked(calibration: Calibration) -> list[Group]:
    """All groups, those that do best beside their base rate first."""
    return sorted(
        calibration.groups, key=lambda group: (group.base_rate - group.pooled.hit_rate, group.pattern, group.direction)
    )


def named(group: Group, calibration: Calibration) -> str:
    """A group's name, in a table of several timeframes with its own."""
    return _named(group.timeframe, group.pattern, group.direction, calibration)


def row_named(key: Key, calibration: Calibration) -> str:
    """A row's name."""
    timeframe, pattern, direction, tercile = key
    third = "" if tercile is None else f", {TERCILES[tercile]} third of quality"
    return f"{_named(timeframe, pattern, direction, calibration)}{third}"


def _named(timeframe: str, pattern: str, direction: int, calibration: Calibration) -> str:
    return f"{pattern} {DIRECTIONS[direction]}" + (f" on {timeframe}" if has_several(calibration) else "")


def has_several(calibration: Calibration) -> bool:
    """Whether the table is of bars of several timeframes, so that rows are told apart by theirs."""
    return len(calibration.bases) > 1


def percent(rate: float, digits: int = 1) -> str:
    """A rate as people read it."""
    return f"{100 * rate:.{digits}f} %"


def verdict(group: Group, false_share: float) -> str:
    """Whether the quality of the match predicts the outcome."""
    if not group.terciles:
        return "one quality"
    if group.trend_q > false_share:
        return "no"
    return "more often" if group.trend_z > 0 else "less often"


def finding(calibration: Calibration) -> Iterator[Said]:
    """All that the table says, the sobering included."""
    for base in calibration.bases:
        yield Said("Any bar", _any_bar(base, calibration))
    yield Said("Patterns", _patterns(calibration))
    if calibration.placebo is not None:
        yield Said("Chance", _chance(calibration))
    yield Said("Money", _money(calibration))
    yield Said("Targets", _targets(calibration))
    yield Said("Quality", _quality(calibration))
    if calibration.held_out is not None:
        yield Said("Later data", _later(calibration.held_out))
    yield Said("Conclusion", _conclusion(calibration))


def _any_bar(base: Base, calibration: Calibration) -> str:
    far = calibration.parameters.barrier
    both = base.resolved - base.up - base.down
    return (
        f"After any {base.timeframe} bar price went {far:g} average true range{'s' * (far != 1)} "
        f"({percent(base.reach, 3)} of the price on average) up before it went as far down in "
        f"{percent(base.rate(1))} of {base.resolved:,} resolved cases, and down first in {percent(base.rate(-1))}; "
        f"in {both:,} one bar touched both, which is lost for either side. "
        f"{percent(base.resolved / base.bars)} of {base.bars:,} bars were resolved within "
        f"{calibration.parameters.horizon} bars{' and their session' if base.timeframe in INTERVALS_S else ''}."
    )


def _patterns(calibration: Calibration) -> str:
    more, less = ([group for group in ranked(calibration) if group.pooled.edge == edge] for edge in ("+", "-"))
    rest = len(calibration.groups) - len(more) - len(less)
    by = ", timeframes and" if has_several(calibration) else " and"
    text = (
        f"Of {len(calibration.groups)} patterns{by} directions {len(more)} were followed by what they say more often "
        f"than any bar is, {len(less)} less often, and {rest} cannot be told apart from any bar. On average at most "
        f"{percent(calibration.parameters.false_share, 0)} of the edges of a table are false."
    )
    for said, groups in (("More often", more), ("Less often", less[::-1])):
        if groups:
            rates = (f"{percent(group.pooled.hit_rate)} (any bar {percent(group.base_rate)})" for group in groups)
            names = (named(group, calibration) for group in groups)
            text += f" {said}: {', '.join(map(' '.join, zip(names, rates, strict=True)))}."
    rows = [(group, at) for group in ranked(calibration) for at, bucket in enumerate(group.terciles) if bucket.n]
    above = [(g, at) for g, at in rows if g.terciles[at].edge == "+"]
    below = sum(g.terciles[at].edge == "-" for g, at in rows)
    text += f" Of {len(rows)} thirds by match quality, {len(above)} do better than any bar and {below} worse"
    listed = (f"{named(g, calibration)}, {TERCILES[at]} {percent(g.terciles[at].hit_rate)}" for g, at in above)
    return f"{text}. Better: {'; '.join(listed)}." if above else f"{text}."


def _chance(calibration: Calibration) -> str:
    placebo = calibration.placebo
    if placebo is None or not placebo.rounds:
        return ""
    mean, most = sum(placebo.found_moved) / placebo.rounds, max(placebo.found_moved)
    text = (
        f"The tests take events for independent, which those of one hour are not. So the events were moved along "
        f"within their sessions, {placebo.rounds} times by different lengths: of {placebo.rows} whole patterns the "
        f"same tests then find {mean:.1f} edges on average and {most} at most, against {placebo.found} where the "
        f"events stand."
    )
    if placebo.widening is not None:
        text += f" Moved rates scatter {placebo.widening:.2f} times as much as those of independent events would."
    if placebo.found == 0:
        return text
    if 2 * mean >= placebo.found:
        return f"{text} So clustering alone makes as many edges: those of this table are not to be believed."
    return f"{text} So it is not clustering that makes them."


def _money(calibration: Calibration) -> str:
    reach = {base.timeframe: base.reach for base in calibration.bases}
    many = [group for group in ranked(calibration) if group.pooled.n >= _MANY]
    if not many:
        return f"No pattern has {_MANY} events: too few to name a best one."
    best, worst = many[0], many[-1]
    gain = (2 * best.pooled.hit_rate - 1) * reach[best.timeframe]
    fade = (1 - 2 * worst.pooled.hit_rate) * reach[worst.timeframe]
    verb = "gains" if gain >= 0 else "loses"
    text = (
        f"Of patterns with at least {_MANY} events the best is {named(best, calibration)} "
        f"({percent(best.pooled.hit_rate)}, n = {best.pooled.n:,}): with barriers equally far on both sides a trade on "
        f"it {verb} {percent(abs(gain), 4)} of the price on average, before spread and costs"
    )
    luck = "; but of many rows one looks good by luck, and this one cannot be told apart from any bar"
    text += f"{luck if best.pooled.edge == '0' else ''}."
    if fade > 0:
        text += (
            f" A trade against the worst, {named(worst, calibration)} ({percent(worst.pooled.hit_rate)}, n = "
            f"{worst.pooled.n:,}), gains {percent(fade, 4)} at most. One cent of spread on a price of 100 costs "
            f"{percent(0.0001, 4)}."
        )
    return text


def _targets(calibration: Calibration) -> str:
    groups = [group for group in calibration.groups if group.targets]
    settled = sum(group.targets for group in groups)
    if not settled:
        return "No event has a target and a stop that price came to."
    hits = sum(group.target_hits for group in groups)
    even = sum(group.target_even * group.targets for group in groups) / settled
    return (
        f"By the events' own levels, {percent(hits / settled)} of {settled:,} reached the target before the stop, "
        f"where {percent(even)} neither gains nor loses; those that reached neither in time are not among them, and "
        f"since targets lie further away than stops, that makes the share look smaller than it would be in the end."
    )


def _quality(calibration: Calibration) -> str:
    divided = [group for group in calibration.groups if group.terciles]
    verdicts = [(group, verdict(group, calibration.parameters.false_share)) for group in divided]
    text = (
        f"Match quality predicts the outcome in {sum(said != 'no' for _, said in verdicts)} of {len(divided)} patterns"
    )
    for said in ("more often", "less often"):
        those = [named(group, calibration) for group, found in verdicts if found == said]
        if those:
            text += f"; better shapes are followed through {said} in {', '.join(those)}"
    overall = ", ".join(f"{name} {z:+.1f}" for name, z in calibration.overall_z.items())
    text += f". Over all patterns together (standard deviations, from which ±2 is worth a look): {overall}."
    if all(said == "no" for _, said in verdicts):
        text += " A better-looking shape is no better trade here: the number says how textbook a shape is, and no more."
    return text


def _later(held: HeldOut) -> str:
    if not held.checks:
        return f"The newest {percent(held.share)} of the bars have too few events to judge a row by."
    share = held.inside / len(held.checks)
    text = (
        f"A table of the bars before {moment_at(held.cut_us):%Y-%m-%d} was held against the newest "
        f"{percent(held.share)}. Of {len(held.checks)} rows with enough later events, {held.inside} ({percent(share)}) "
        f"lie within the 95 % band of what came: the aim of {percent(AIM, 0)} is "
        f"{'reached' if share >= AIM else 'missed'}. Of rates that do not change {percent(held.expected)} would, since "
        f"each is itself an estimate; had the base rate been published for every row, "
        f"{percent(held.base_inside / len(held.checks))} would. Rows outside give the base rate."
    )
    if held.brier_published is None or held.brier_base is None or held.brier_quality is None:
        return text
    gain = held.brier_base - held.brier_published
    outside = [check for check in held.checks if not check.inside]
    further = sum((check.hits / check.n - check.published) * (check.published - check.base) > 0 for check in outside)
    text += f" Of those {len(outside)}, {further} had gone on in their direction, away from the base rate."
    return (
        f"{text} Brier score over {held.events:,} later events (less is better): published rates "
        f"{held.brier_published:.5f}, base rate {held.brier_base:.5f}, match quality taken for a probability "
        f"{held.brier_quality:.5f}. The published rates are {'better' if gain > 0 else 'no better'} than the base rate"
        f"{f', by {percent(gain / held.brier_base, 2)}' if gain > 0 else ''}."
    )


def _conclusion(calibration: Calibration) -> str:
    standing = [group for group in calibration.groups if group.pooled.edge == "+" and not group.pooled.refuted]
    text = "A rate is what happened in this data, not what will happen. "
    if not standing:
        return text + (
            "No pattern here is by itself a reason to trade the way it points: as a whole, none was followed through "
            "more often than a bar picked blindly. Use events to look at a chart, not to place an order."
        )
    names = ", ".join(named(group, calibration) for group in standing)
    return text + (
        f"Only {names} did better than a bar picked blindly and was not refuted: a reason to "
        f"look closer, with data of your own and with costs, and no more. All others are no reason to trade the way "
        f"they point."
    )


def told(bucket: Bucket) -> str:
    """A row's rate in a table, in percent; in parentheses where it was refuted."""
    if not bucket.n:
        return "–"
    text = f"{100 * bucket.hit_rate:.1f}"
    return f"({text})" if bucket.refuted else text
