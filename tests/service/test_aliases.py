"""Every name that TickStock has for a pattern means one of ours, or is known to wait for it."""

import pytest

import tickstockpl as tp
from tickstockpl.aliases import ALIASES, _key, aliases_of, ids_of, nearest
from tickstockpl.errors import SettingsError
from tickstockpl.selection import enabled_patterns
from tickstockpl.settings import PatternSettings

IDS = [pattern["id"] for pattern in tp.PATTERNS]
TREND = ("trending_up", "trending_down")

# TickStockAppV2's names by where they stand, and what they mean.
SPECIFICATION = {
    "Doji": "doji",
    "DojiPattern": "doji",
    "HammerPattern": "hammer",
    "HangingManPattern": "hanging_man",
    "ClosedInTopRangePattern": "closed_in_top_range",
    "ClosedInBottomRange": "closed_in_bottom_range",
    "BullishEngulfing": "engulfing",
    "BearishEngulfingPattern": "engulfing",
    "HeadAndShoulders": "head_shoulders",
    "InverseHeadAndShoulders": "inverse_head_shoulders",
    "DoubleBottom": "double_bottom",
    "MACrossover": "ma_crossover",
    "HighOfDay": "high_of_day",
    "LowOfDay": "low_of_day",
    "Day1Breakout": "day1_breakout",
    "TrendingUp": "trending_up",
    "TrendingDown": "trending_down",
}
CLASSES = {
    "ShootingStar": "shooting_star",
    "EngulfingPattern": "engulfing",
    "Harami": "harami",
    "MorningStar": "morning_star",
    "EveningStar": "evening_star",
}
WISHES = {
    "H&S": ("head_shoulders", "inverse_head_shoulders"),
    "DoubleTop": "double_top",
    "Ascending Triangle": "asc_triangle",
    "Descending Triangle": "desc_triangle",
    "Symmetrical Triangle": "sym_triangle",
    "Triangles": ("asc_triangle", "desc_triangle", "sym_triangle"),
    "Flags": ("bull_flag", "bear_flag"),
    "Pennants": ("bull_pennant", "bear_pennant"),
    "Rising Wedge": "rising_wedge",
    "Falling Wedge": "falling_wedge",
    "Range Breakout": "range_breakout",
    "V-top": "v_top",
    "V-bottom": "v_bottom",
    "Pin Bar": "pin_bar",
}
SEEN = {
    "BreakoutBO": "donchian_breakout",
    "TrendReversal": "change_of_character",
    "Volume_Spike": "volume_spike",
    "VolumeSpike": "volume_spike",
    "VolSpike": "volume_spike",
    "TrendFollower": TREND,
    "SurgeDetection": "high_volume_surge",
    "Bull_Flag": "bull_flag",
    "BullFlag": "bull_flag",
    "SupportBreak": "pivot_break",
    "Resistance_Break": "pivot_break",
    "ResBreak": "pivot_break",
    "Support_Resistance_Break": "pivot_break",
    "WeeklyBO": "weekly_breakout",
    "Weekly_Breakout": "weekly_breakout",
    "DailyBO": "daily_breakout",
    "Gap_Fill": "gap_fill",
    "GapFill": "gap_fill",
    "TrendHold": TREND,
    "Trendline_Hold": TREND,
    "AscTriangle": "asc_triangle",
    "Ascending_Triangle": "asc_triangle",
    "AscTri": "asc_triangle",
    "Momentum_Shift": "macd_cross",
    "MomShift": "macd_cross",
    "Reversal_Signal": "rsi_reversal",
    "Reversal": "rsi_reversal",
    "EngulfingBullish": "engulfing",
}
FALLBACK = {
    "High_Volume_Surge": "high_volume_surge",
    "Price_Gap": ("gap_up", "gap_down"),
    "Shooting_Star": "shooting_star",
    "Engulfing_Bull": "engulfing",
    "Engulfing_Bear": "engulfing",
}
REGISTRY = {
    "HeadShoulders": "head_shoulders",
    "Triangle": ("asc_triangle", "desc_triangle", "sym_triangle"),
    "MinuteTrend": TREND,
    "MultiDayBreakout": "weekly_breakout",
    "IntradayGap": ("gap_up", "gap_down"),
    "SRBreakout": "pivot_break",
    "ThreeWhiteSoldiers": "cdl_3whitesoldiers",
    "ThreeBlackCrows": "cdl_3blackcrows",
    "PiercingLine": "cdl_piercing",
    "DarkCloudCover": "cdl_darkcloudcover",
}
LATER = {
    "CupAndHandle": ("cup_and_handle",),
    "Cup & Handle": ("cup_and_handle",),
    "DivergenceDO": ("rsi_divergence", "macd_divergence"),
}
NAMES = SPECIFICATION | CLASSES | WISHES | SEEN | FALLBACK | REGISTRY | LATER

# Names that nothing of ours has the meaning of, and words that the ids of those would have that do; None: no plan.
WAITING = {
    "Support_Test": "_test",
    "Support": "support",
    "Resistance": "resistance",
    "PriceChange": None,
    "MomentumSpike": None,
    "SwingHighLow": None,
    "AlwaysDetected": None,
}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_tickstock_means_its_patterns(name: str) -> None:
    ids = NAMES[name]
    assert ids_of(name) == ((ids,) if isinstance(ids, str) else ids)


@pytest.mark.parametrize("name", WAITING)
def test_a_name_without_a_counterpart_means_nothing_until_there_is_one(name: str) -> None:
    assert ids_of(name) == (), f"{name} means a pattern now: move it from WAITING to NAMES"
    word = WAITING[name]
    counterparts = [known for known in IDS if word and word in known and not known.startswith("cdl_")]
    assert not counterparts, f"{name} may mean {counterparts} now: say so in aliases.py, and here in NAMES"


def test_aliases_are_of_patterns_that_exist_and_are_no_spelling_of_what_they_are_called() -> None:
    called = {_key(pattern[what]) for pattern in tp.PATTERNS for what in ("id", "name")}
    keys = [_key(name) for name in ALIASES]
    assert len({*keys}) == len(keys)
    assert not {*keys} & called
    assert {known for ids in ALIASES.values() for known in ids} <= {*IDS}
    assert {_key(name) for name in ALIASES} <= {_key(name) for name in NAMES | dict.fromkeys(["EngulfingBearish"])}


def test_every_pattern_is_meant_by_its_id_its_name_and_talibs_name_in_any_spelling() -> None:
    first: dict[str, str] = {}
    for pattern in tp.PATTERNS:
        known = pattern["id"]
        first.setdefault(pattern["name"], known)
        spelled = (known, known.upper(), known.replace("_", ""), f"{known.removesuffix('pattern')}Pattern")
        assert {ids_of(name) for name in spelled} == {(known,)}
        assert ids_of(pattern["name"]) in {(first[pattern["name"]],), (known,)}
        assert pattern["talib_name"] is None or ids_of(pattern["talib_name"]) == (known,)
    assert ids_of("Doji") == ("doji",)  # cdl_doji and doji_spec have the name too


def test_globs_are_of_ids_and_the_order_is_that_of_the_list() -> None:
    assert ids_of("*_flag") == ("bull_flag", "bear_flag")
    assert ids_of("cdl_*") == tuple(known for known in IDS if known.startswith("cdl_"))
    assert ids_of("Pattern") == ids_of("") == ids_of("_") == ids_of("CDL_*") == ()


def test_a_pattern_knows_the_names_that_mean_it() -> None:
    assert aliases_of("trending_up") == ("TrendFollower", "Trendline_Hold", "TrendHold", "MinuteTrend")
    assert aliases_of("doji") == ()


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("dojo", "did you mean doji?"),
        ("TrendFolower", "did you mean trending_up or trending_down?"),
        ("Ascending-Triangel", "did you mean asc_triangle?"),
        ("xyz", "`tickstockpl patterns` lists them"),
    ],
)
def test_who_names_no_pattern_is_told_what_comes_near(wanted: str, said: str) -> None:
    assert ids_of(wanted) == ()
    assert nearest(wanted) == said
    with pytest.raises(SettingsError, match=f"^patterns.enabled: no pattern is called {wanted}; "):
        enabled_patterns(PatternSettings(enabled=(wanted,)))


def test_settings_take_every_name() -> None:
    names = ("Bull_Flag", "TrendHold", "DojiPattern", "cdl_3*soldiers", "double_top")
    ids = ("doji", "cdl_3whitesoldiers", *TREND, "double_top", "bull_flag")
    assert enabled_patterns(PatternSettings(enabled=names)) == ids
