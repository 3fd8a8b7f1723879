//! The list of all patterns.

use super::Direction::{Bearish, Bullish};
use super::Pattern;
use super::agreement::Agreement;
use super::breakout::{DonchianBreakout, NewExtreme};
use super::chart::Chart;
use super::crossing::{Crossing, Lines};
use super::day_extreme::{HighOfDay, LowOfDay};
use super::day_level::LevelBreakout;
use super::day1::Day1Breakout;
use super::gap::{Gap, GapFill};
use super::opening_range::OpeningRangeBreakout;
use super::pivot_break::PivotBreak;
use super::session_range::Level;
use super::squeeze::{After, BandBreakout, SqueezeOn};
use super::surge::HighVolumeSurge;
use super::trending::{Steep, Trending};
use super::volume_spike::{VolumeSpike, VolumeSpikeOfDay};
use crate::candle::talib;
use crate::candle::talib::pattern::TALIB;
use crate::candle::{ClosedInRange, Doji, Engulfing, EveningStar, Hammer, HangingMan, Harami, MorningStar, PinBar};
use crate::candle::{DojiSpec, EngulfingSpec, HammerSpec, HangingManSpec, ShootingStar};
use crate::figure::Kind;

/// Patterns of our own and of `TickStock`, in the order of the `pattern` column.
const OWN: [&dyn Pattern; 11] = [
    &Doji,
    &Hammer,
    &HangingMan,
    &ShootingStar,
    &Engulfing,
    &Harami,
    &MorningStar,
    &EveningStar,
    &VolumeSpike,
    &HighOfDay,
    &LowOfDay,
];

/// What came later, in the order of its coming.
const LATER: &[&dyn Pattern] = &[
    &DojiSpec,
    &HammerSpec,
    &HangingManSpec,
    &EngulfingSpec,
    &NewExtreme { id: "new_high_20", name: "NewHigh20", direction: Bullish },
    &NewExtreme { id: "new_low_20", name: "NewLow20", direction: Bearish },
    &DonchianBreakout,
    &OpeningRangeBreakout { id: "opening_range_5", name: "OR5Breakout", at: 0 },
    &OpeningRangeBreakout { id: "opening_range_15", name: "OR15Breakout", at: 1 },
    &OpeningRangeBreakout { id: "opening_range_30", name: "OR30Breakout", at: 2 },
    &Day1Breakout,
    &HighVolumeSurge,
    &BandBreakout { id: "range_breakout", name: "RangeBO", after: After::Narrow },
    &BandBreakout { id: "squeeze_breakout", name: "SqueezeBO", after: After::Squeeze },
    &SqueezeOn,
    &crossing("ema_9_20_cross", "Ema9Cross20", Lines::Ema9x20, 21, AVERAGES),
    &crossing("ma_crossover", "MACrossover", Lines::Ema12x26, 27, SPECIFIED),
    &crossing("golden_cross", "GoldenCross", Lines::Sma50x200, 201, AVERAGES),
    &crossing("macd_cross", "MACDCross", Lines::Macd, 35, "Appel (1979), The Moving Average Convergence Divergence"),
    &crossing("rsi_reversal", "RSIReversal", Lines::RsiBack, 15, WILDER),
    &crossing("rsi_extreme", "RSIExtreme", Lines::RsiOut, 15, WILDER),
    &crossing("stochastic_cross", "StochCross", Lines::Stochastic, 17, "Lane (1984), Lane's Stochastics"),
    &crossing("vwap_cross", "VWAPCross", Lines::Vwap, 14, "Berkowitz, Logue & Noser (1988) for VWAP; the rule is ours"),
    &Trending { id: "trending_up", name: "TrendingUp", direction: Bullish, steep: Steep::Measured },
    &Trending { id: "trending_down", name: "TrendingDown", direction: Bearish, steep: Steep::Measured },
    &Trending { id: "trending_up_spec", name: "TrendingUp", direction: Bullish, steep: Steep::Absolute },
    &Trending { id: "trending_down_spec", name: "TrendingDown", direction: Bearish, steep: Steep::Absolute },
    &PinBar,
    &ClosedInRange { id: "closed_in_top_range", name: "ClosedInTopRange", direction: Bullish },
    &ClosedInRange { id: "closed_in_bottom_range", name: "ClosedInBottomRange", direction: Bearish },
    &chart(Kind::DoubleTop, "double_top", "DoubleTop", &DOUBLE),
    &chart(Kind::DoubleBottom, "double_bottom", "DoubleBottom", &DOUBLE),
    &chart(Kind::TripleTop, "triple_top", "TripleTop", &TRIPLE),
    &chart(Kind::TripleBottom, "triple_bottom", "TripleBottom", &TRIPLE),
    &chart(Kind::HeadShoulders, "head_shoulders", "HeadAndShoulders", &SHOULDERS),
    &chart(Kind::InverseHeadShoulders, "inverse_head_shoulders", "InverseHeadAndShoulders", &SHOULDERS),
    &chart(Kind::Rectangle, "rectangle", "Rectangle", &ENVELOPE),
    &chart(Kind::AscTriangle, "asc_triangle", "AscTriangle", &ENVELOPE),
    &chart(Kind::DescTriangle, "desc_triangle", "DescTriangle", &ENVELOPE),
    &chart(Kind::SymTriangle, "sym_triangle", "SymTriangle", &ENVELOPE),
    &chart(Kind::Broadening, "broadening", "Broadening", &ENVELOPE),
    &chart(Kind::RisingWedge, "rising_wedge", "RisingWedge", &ENVELOPE),
    &chart(Kind::FallingWedge, "falling_wedge", "FallingWedge", &ENVELOPE),
    &chart(Kind::ChannelUp, "channel_up", "ChannelUp", &ENVELOPE),
    &chart(Kind::ChannelDown, "channel_down", "ChannelDown", &ENVELOPE),
    &chart(Kind::BullFlag, "bull_flag", "BullFlag", &FLAG),
    &chart(Kind::BearFlag, "bear_flag", "BearFlag", &FLAG),
    &chart(Kind::BullPennant, "bull_pennant", "BullPennant", &FLAG),
    &chart(Kind::BearPennant, "bear_pennant", "BearPennant", &FLAG),
    &chart(Kind::VTop, "v_top", "VTop", &TURN),
    &chart(Kind::VBottom, "v_bottom", "VBottom", &TURN),
    &chart(Kind::HigherHighs, "higher_highs", "HigherHighs", &SWINGS),
    &chart(Kind::LowerLows, "lower_lows", "LowerLows", &SWINGS),
    &chart(Kind::BreakOfStructure, "break_of_structure", "BreakOfStructure", &BREAK),
    &chart(Kind::ChangeOfCharacter, "change_of_character", "ChangeOfCharacter", &BREAK),
    &LevelBreakout { id: "daily_breakout", name: "DailyBO", of: Level::Day },
    &LevelBreakout { id: "weekly_breakout", name: "WeeklyBO", of: Level::Week },
    &Gap { id: "gap_up", name: "GapUp", direction: Bullish },
    &Gap { id: "gap_down", name: "GapDown", direction: Bearish },
    &GapFill,
    &PivotBreak,
    &chart(Kind::CupHandle, "cup_and_handle", "CupAndHandle", &CUP),
    &chart(Kind::InverseCupHandle, "inverse_cup_and_handle", "InverseCupAndHandle", &CUP),
    &chart(Kind::RsiDivergence, "rsi_divergence", "RSIDivergence", &DIVERGENCE),
    &chart(Kind::MacdDivergence, "macd_divergence", "MACDDivergence", &DIVERGENCE),
    &chart(Kind::Gartley, "gartley", "Gartley", &HARMONIC),
    &chart(Kind::Bat, "bat", "Bat", &HARMONIC),
    &chart(Kind::Butterfly, "butterfly", "Butterfly", &HARMONIC),
    &chart(Kind::Crab, "crab", "Crab", &HARMONIC),
    &Agreement,
    &VolumeSpikeOfDay,
];

const AVERAGES: &str =
    "Murphy (1999), Technical Analysis of the Financial Markets, ch. 9; confidence and levels are ours";
const SPECIFIED: &str =
    "TickStockAppV2 docs/planning/patterns_library_patterns.md: MACrossover; confidence and levels are ours";
const WILDER: &str = "Wilder (1978), New Concepts in Technical Trading Systems; confidence is ours";

const fn crossing(
    id: &'static str,
    name: &'static str,
    lines: Lines,
    bars_needed: usize,
    source: &'static str,
) -> Crossing {
    Crossing { id, name, lines, bars_needed, source }
}

/// What the kinds of one figure have in common.
struct Drawn {
    points: &'static [&'static str],
    conditions: &'static [&'static str],
    source: &'static str,
}

const BULKOWSKI: &str =
    "Bulkowski (2021), Encyclopedia of Chart Patterns, 3rd ed.; measures by height and average range are ours";

const DOUBLE: Drawn = Drawn {
    points: &["start", "first", "between", "second", "break"],
    conditions: &["height", "level", "leg"],
    source: BULKOWSKI,
};
const TRIPLE: Drawn = Drawn {
    points: &["start", "first", "between_1", "second", "between_2", "third", "break"],
    conditions: &["height", "level", "floor", "leg"],
    source: BULKOWSKI,
};
const SHOULDERS: Drawn = Drawn {
    points: &["start", "left_shoulder", "neck_1", "head", "neck_2", "right_shoulder", "break"],
    conditions: &["height", "head", "shoulders", "neck", "room", "leg"],
    source: BULKOWSKI,
};
const ENVELOPE: Drawn = Drawn {
    points: &["touch_1", "touch_2", "touch_3", "touch_4", "touch_5", "break"],
    conditions: &["width", "touch", "room"],
    source: BULKOWSKI,
};
const FLAG: Drawn =
    Drawn { points: &["base", "tip", "flag", "break"], conditions: &["pole", "retrace"], source: BULKOWSKI };
const TURN: Drawn = Drawn {
    points: &["base", "turn", "break"],
    conditions: &["leg", "speed"],
    source: "TickStock's list of intraday patterns: V-top, V-bottom; the measures are ours",
};
const SWINGS: Drawn = Drawn {
    points: &["swing_1", "swing_2", "swing_3", "swing_4", "seen"],
    conditions: &["newest", "other"],
    source: "Wyckoff (1910), Studies in Tape Reading",
};
const BREAK: Drawn = Drawn {
    points: &["swing", "break"],
    conditions: &["beyond"],
    source: "BOS and CHoCH of \"smart money concepts\", on swings that are confirmed",
};
const CUP: Drawn = Drawn {
    points: &["left_rim", "bottom", "right_rim", "handle", "break"],
    conditions: &["depth", "rims", "bottom", "handle"],
    source: "O'Neil (2009), How to Make Money in Stocks, 4th ed.; measures by height and average range are ours",
};
const DIVERGENCE: Drawn = Drawn {
    points: &["older", "between", "newer", "seen"],
    conditions: &["price", "reading", "drop"],
    source: "Wilder (1978), New Concepts in Technical Trading Systems; Murphy (1999), ch. 10; measures are ours",
};
const HARMONIC: Drawn = Drawn {
    points: &["x", "a", "b", "c", "d", "seen"],
    conditions: &["ab", "bc", "ad"],
    source: "Carney (2010), Harmonic Trading, vol. 1; tolerance and levels are ours",
};

const fn chart(kind: Kind, id: &'static str, name: &'static str, drawn: &Drawn) -> Chart {
    let Drawn { points, conditions, source } = *drawn;
    Chart { kind, id, name, points, conditions, source }
}

/// How many patterns there are.
pub const COUNT: usize = OWN.len() + talib::COUNT + LATER.len();

/// Every pattern, in the order of the `pattern` column: our own, TA-Lib's, what came later. Append only: a
/// position is an identity for as long as rows that hold it live. Of those that share a published name, the first is on
/// unless settings say otherwise.
pub static PATTERNS: [&'static dyn Pattern; COUNT] = {
    let mut all = [OWN[0]; COUNT];
    let mut at = 0;
    while at < COUNT {
        all[at] = if at < OWN.len() {
            OWN[at]
        } else if at < OWN.len() + talib::COUNT {
            &TALIB[at - OWN.len()]
        } else {
            LATER[at - OWN.len() - talib::COUNT]
        };
        at += 1;
    }
    all
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const LATER_IDS: &[&str] = &[
        "doji_spec",
        "hammer_spec",
        "hanging_man_spec",
        "engulfing_spec",
        "new_high_20",
        "new_low_20",
        "donchian_breakout",
        "opening_range_5",
        "opening_range_15",
        "opening_range_30",
        "day1_breakout",
        "high_volume_surge",
        "range_breakout",
        "squeeze_breakout",
        "squeeze_on",
        "ema_9_20_cross",
        "ma_crossover",
        "golden_cross",
        "macd_cross",
        "rsi_reversal",
        "rsi_extreme",
        "stochastic_cross",
        "vwap_cross",
        "trending_up",
        "trending_down",
        "trending_up_spec",
        "trending_down_spec",
        "pin_bar",
        "closed_in_top_range",
        "closed_in_bottom_range",
        "double_top",
        "double_bottom",
        "triple_top",
        "triple_bottom",
        "head_shoulders",
        "inverse_head_shoulders",
        "rectangle",
        "asc_triangle",
        "desc_triangle",
        "sym_triangle",
        "broadening",
        "rising_wedge",
        "falling_wedge",
        "channel_up",
        "channel_down",
        "bull_flag",
        "bear_flag",
        "bull_pennant",
        "bear_pennant",
        "v_top",
        "v_bottom",
        "higher_highs",
        "lower_lows",
        "break_of_structure",
        "change_of_character",
        "daily_breakout",
        "weekly_breakout",
        "gap_up",
        "gap_down",
        "gap_fill",
        "pivot_break",
        "cup_and_handle",
        "inverse_cup_and_handle",
        "rsi_divergence",
        "macd_divergence",
        "gartley",
        "bat",
        "butterfly",
        "crab",
        "agreement",
        "volume_spike_of_day",
    ];

    #[test]
    fn ids_are_the_documented_ones_in_their_fixed_order() {
        let ids: Vec<_> = PATTERNS.iter().map(|p| p.id()).collect();
        assert_eq!(
            ids[..11],
            [
                "doji",
                "hammer",
                "hanging_man",
                "shooting_star",
                "engulfing",
                "harami",
                "morning_star",
                "evening_star",
                "volume_spike",
                "high_of_day",
                "low_of_day"
            ]
        );
        for (id, function) in ids[11..72].iter().zip(&talib::CANDLESTICKS) {
            assert_eq!(*id, format!("cdl_{}", function.name[3..].to_lowercase()));
        }
        assert!(&ids[72..] == LATER_IDS, "what has come is in its place in LATER, and what comes in LATER_IDS, too");
    }

    /// Names that `TickStock` itself gave, and cuts alike.
    const CUT_ALIKE: [&str; 2] = ["TrendingDown", "ClosedInBottomRange"];

    #[test]
    fn names_are_camel_case_and_distinct_in_eight_letters() {
        let mut short = HashSet::new();
        let mut names = HashSet::new();
        for pattern in PATTERNS {
            let name = pattern.name();
            assert!(
                name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric())
            );
            // A name that is shared is one name.
            let is_new = short.insert(name.chars().take(8).collect::<String>());
            let is_cut_alike = CUT_ALIKE.contains(&name) && !names.contains(name);
            assert_eq!(names.insert(name), is_new || is_cut_alike, "{name}");
            assert!(["daily", "intraday", "combo"].contains(&pattern.tier()));
            assert!(!pattern.source().is_empty());
            assert!(pattern.bars_needed() >= 1);
        }
        assert_eq!(names.len(), 11 + 61 - 8 + LATER.len() - 7);
    }
}
