"""What a minute of the session traded on other days, slowly: written from the doc comment of `VolumeSpikeOfDay`."""

import math

from oracle_day import Day
from oracle_levels import UNADJUSTED, week_of

LEAST_DAYS = 10


def is_busiest(day: Day, at: int) -> bool:
    """Whether this bar traded no less than the 99th percentile of its minute; also while too few days are known."""
    if day.earlier and abs(day.bars[day.begin].open / day.finished[-1].close - 1) > UNADJUSTED:
        return True
    known = [other for other in day.earlier if week_of(other.open_us) > week_of(day.open_us) - 4]
    traded = sorted(other.volumes[day.minute(at)] for other in known)
    return len(traded) < LEAST_DAYS or day.bars[at].volume >= traded[math.ceil(0.99 * len(traded)) - 1]
