"""What patterns are called: ids, published names, and the other names that TickStock has for them.

TickStockAppV2 names patterns in its specification, registry, events, tests and pages, and spells few of them twice
alike. A name means the same in any case, with or without underscores, and with or without the ending `Pattern`:
`Volume_Spike`, `VolumeSpikePattern` and `volume_spike` are one.

Sources: TickStockAppV2 docs/planning/patterns_library_patterns.md, docs/patterns and indicators/, its registry of
October 2025, src/infrastructure/cache/redis_pattern_cache.py and fallback_pattern_detector.py.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from tickstockpl.kernel import PATTERNS

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "BullishEngulfing": ("engulfing",),
    "BearishEngulfing": ("engulfing",),
    "EngulfingBullish": ("engulfing",),
    "EngulfingBearish": ("engulfing",),
    "Engulfing_Bull": ("engulfing",),
    "Engulfing_Bear": ("engulfing",),
    "VolSpike": ("volume_spike",),
    "BreakoutBO": ("donchian_breakout",),
    "SurgeDetection": ("high_volume_surge",),
    "Momentum_Shift": ("macd_cross",),
    "MomShift": ("macd_cross",),
    "Reversal_Signal": ("rsi_reversal",),
    "Reversal": ("rsi_reversal",),
    "TrendFollower": ("trending_up", "trending_down"),
    "Trendline_Hold": ("trending_up", "trending_down"),
    "TrendHold": ("trending_up", "trending_down"),
    "MinuteTrend": ("trending_up", "trending_down"),
    "H&S": ("head_shoulders", "inverse_head_shoulders"),
    "Ascending_Triangle": ("asc_triangle",),
    "AscTri": ("asc_triangle",),
    "Descending_Triangle": ("desc_triangle",),
    "Symmetrical_Triangle": ("sym_triangle",),
    "Triangle": ("asc_triangle", "desc_triangle", "sym_triangle"),
    "Triangles": ("asc_triangle", "desc_triangle", "sym_triangle"),
    "Flags": ("bull_flag", "bear_flag"),
    "Pennants": ("bull_pennant", "bear_pennant"),
    "TrendReversal": ("change_of_character",),
    "MultiDayBreakout": ("weekly_breakout",),
    "Price_Gap": ("gap_up", "gap_down"),
    "IntradayGap": ("gap_up", "gap_down"),
    "Cup & Handle": ("cup_and_handle",),
    "DivergenceDO": ("rsi_divergence", "macd_divergence"),
    "SupportBreak": ("pivot_break",),
    "Resistance_Break": ("pivot_break",),
    "ResBreak": ("pivot_break",),
    "Support_Resistance_Break": ("pivot_break",),
    "SRBreakout": ("pivot_break",),
}
"""TickStock's names that are no spelling of an id or a published name, and the ids that they mean. One that says a
direction means a pattern that has both."""


class Names:
    """What the patterns of an engine are called. patterns: `PATTERNS`, or they and rules."""

    def __init__(self, patterns: Sequence[Mapping[str, Any]] = PATTERNS) -> None:
        self._ids = tuple(pattern["id"] for pattern in patterns)
        # later ones win: an id over a name, and of those that share a name the first, which is on by default
        self._meant = {
            **{_key(name): ids for name, ids in ALIASES.items()},
            **{_key(pattern["name"]): (pattern["id"],) for pattern in reversed(patterns)},
            **{_key(known): (known,) for known in self._ids},
        }

    def ids_of(self, wanted: str) -> tuple[str, ...]:
        """The patterns that somebody means, by id, in the order of the patterns; empty if there are none.

        wanted: an id; a glob of ids, such as `cdl_*`; a published name, which means the first of those that share it;
        TA-Lib's name of a function; or a name of `ALIASES`.

        >>> from tickstockpl.aliases import ids_of
        >>> ids_of("DojiPattern"), ids_of("Trendline_Hold"), ids_of("*_flag")
        (('doji',), ('trending_up', 'trending_down'), ('bull_flag', 'bear_flag'))
        """
        found = tuple(known for known in self._ids if fnmatchcase(known, wanted))
        return found or self._meant.get(_key(wanted), ())

    def nearest(self, wanted: str) -> str:
        """What to say to somebody who has named no pattern: the id that comes nearest, or where to look."""
        near = difflib.get_close_matches(_key(wanted), self._meant, n=1)
        return f"did you mean {' or '.join(self._meant[near[0]])}?" if near else "`tickstockpl patterns` lists them"


def aliases_of(pattern_id: str) -> tuple[str, ...]:
    """The names of `ALIASES` that mean a pattern, it alone or with others."""
    return tuple(name for name, ids in ALIASES.items() if pattern_id in ids)


def _key(name: str) -> str:
    """All spellings of a name as one."""
    return re.sub(r"[\W_]", "", name).lower().removesuffix("pattern")


BUILT_IN: Final = Names()
"""Those of the patterns that there are without rules."""

ids_of: Final = BUILT_IN.ids_of
nearest: Final = BUILT_IN.nearest
