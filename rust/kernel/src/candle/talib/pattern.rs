//! TA-Lib's functions as patterns of the live engine: names, directions, extents.

use super::{CANDLESTICKS, COUNT};
use crate::pattern::{Closing, Direction, Levels, Match, Pattern};

/// One of TA-Lib's functions, as a pattern.
///
/// confidence: 0.5 + 0.5 · q, where q is how clearly the function's own comparisons hold (`grade`): a bare match is 0.5.
pub(crate) struct Talib {
    column: usize,
    row: Row,
}

/// What the engine says of a function beyond its answer.
#[derive(Clone, Copy)]
struct Row {
    id: &'static str,
    name: &'static str,
    /// The bars that the figure is made of, at the least.
    bars: u16,
    meaning: Meaning,
}

#[derive(Clone, Copy)]
enum Meaning {
    /// Bullish if the answer is above 0, else bearish.
    BySign,
    /// The same; it is never below 0.
    Bullish,
    /// The same; it is never above 0.
    Bearish,
    /// TA-Lib's sign is the colour of the bar, or always +; the figure itself expects nothing.
    Neutral,
}
use Meaning::{Bearish, Bullish, BySign, Neutral};

const fn row(id: &'static str, name: &'static str, bars: u16, meaning: Meaning) -> Row {
    Row { id, name, bars, meaning }
}

/// In column order.
const ROWS: [Row; COUNT] = [
    row("cdl_2crows", "TwoCrows", 3, Bearish),
    row("cdl_3blackcrows", "ThreeBlackCrows", 4, Bearish),
    row("cdl_3inside", "ThreeInside", 3, BySign),
    row("cdl_3linestrike", "ThreeLineStrike", 4, BySign),
    row("cdl_3outside", "ThreeOutside", 3, BySign),
    row("cdl_3starsinsouth", "ThreeStarsInSouth", 3, Bullish),
    row("cdl_3whitesoldiers", "ThreeWhiteSoldiers", 3, Bullish),
    row("cdl_abandonedbaby", "AbandonedBaby", 3, BySign),
    row("cdl_advanceblock", "AdvanceBlock", 3, Bearish),
    row("cdl_belthold", "BeltHold", 1, BySign),
    row("cdl_breakaway", "Breakaway", 5, BySign),
    row("cdl_closingmarubozu", "ClosingMarubozu", 1, BySign),
    row("cdl_concealbabyswall", "ConcealingBabySwallow", 4, Bullish),
    row("cdl_counterattack", "Counterattack", 2, BySign),
    row("cdl_darkcloudcover", "DarkCloudCover", 2, Bearish),
    row("cdl_doji", "Doji", 1, Neutral),
    row("cdl_dojistar", "DojiStar", 2, BySign),
    row("cdl_dragonflydoji", "DragonflyDoji", 1, Neutral),
    row("cdl_engulfing", "Engulfing", 2, BySign),
    row("cdl_eveningdojistar", "EveningDojiStar", 3, Bearish),
    row("cdl_eveningstar", "EveningStar", 3, Bearish),
    row("cdl_gapsidesidewhite", "GapSideSideWhite", 3, BySign),
    row("cdl_gravestonedoji", "GravestoneDoji", 1, Neutral),
    row("cdl_hammer", "Hammer", 2, Bullish),
    row("cdl_hangingman", "HangingMan", 2, Bearish),
    row("cdl_harami", "Harami", 2, BySign),
    row("cdl_haramicross", "HaramiCross", 2, BySign),
    row("cdl_highwave", "HighWave", 1, Neutral),
    row("cdl_hikkake", "Hikkake", 3, BySign),
    row("cdl_hikkakemod", "HikkakeModified", 4, BySign),
    row("cdl_homingpigeon", "HomingPigeon", 2, Bullish),
    row("cdl_identical3crows", "IdenticalThreeCrows", 3, Bearish),
    row("cdl_inneck", "InNeck", 2, Bearish),
    row("cdl_invertedhammer", "InvertedHammer", 2, Bullish),
    row("cdl_kicking", "Kicking", 2, BySign),
    row("cdl_kickingbylength", "KickingByLength", 2, BySign),
    row("cdl_ladderbottom", "LadderBottom", 5, Bullish),
    row("cdl_longleggeddoji", "LongLeggedDoji", 1, Neutral),
    row("cdl_longline", "LongLine", 1, BySign),
    row("cdl_marubozu", "Marubozu", 1, BySign),
    row("cdl_matchinglow", "MatchingLow", 2, Bullish),
    row("cdl_mathold", "MatHold", 5, Bullish),
    row("cdl_morningdojistar", "MorningDojiStar", 3, Bullish),
    row("cdl_morningstar", "MorningStar", 3, Bullish),
    row("cdl_onneck", "OnNeck", 2, Bearish),
    row("cdl_piercing", "PiercingLine", 2, Bullish),
    row("cdl_rickshawman", "RickshawMan", 1, Neutral),
    row("cdl_risefall3methods", "RiseFallThreeMethods", 5, BySign),
    row("cdl_separatinglines", "SeparatingLines", 2, BySign),
    row("cdl_shootingstar", "ShootingStar", 2, Bearish),
    row("cdl_shortline", "ShortLine", 1, Neutral),
    row("cdl_spinningtop", "SpinningTop", 1, Neutral),
    row("cdl_stalledpattern", "StalledPattern", 3, Bearish),
    row("cdl_sticksandwich", "StickSandwich", 3, Bullish),
    row("cdl_takuri", "Takuri", 1, Bullish),
    row("cdl_tasukigap", "TasukiGap", 3, BySign),
    row("cdl_thrusting", "Thrusting", 2, Bearish),
    row("cdl_tristar", "Tristar", 3, BySign),
    row("cdl_unique3river", "UniqueThreeRiver", 3, Bullish),
    row("cdl_upsidegap2crows", "UpsideGapTwoCrows", 3, Bearish),
    row("cdl_xsidegap3methods", "XSideGapThreeMethods", 3, BySign),
];

/// The patterns, in column order.
pub(crate) static TALIB: [Talib; COUNT] = {
    let mut all = [const { Talib { column: 0, row: ROWS[0] } }; COUNT];
    let mut column = 0;
    while column < COUNT {
        all[column] = Talib { column, row: ROWS[column] };
        column += 1;
    }
    all
};

/// A figure that is confirmed was set up at most so many bars before.
const MOST_CONFIRMING: u16 = 3;

impl Pattern for Talib {
    fn id(&self) -> &'static str {
        self.row.id
    }

    fn name(&self) -> &'static str {
        self.row.name
    }

    fn bars_needed(&self) -> usize {
        CANDLESTICKS[self.column].lookback + 1
    }

    fn source(&self) -> &'static str {
        "TA-Lib 0.8.1, with its default settings; direction and confidence are ours"
    }

    fn directions(&self) -> &'static [Direction] {
        match self.row.meaning {
            Neutral => &[Direction::Neutral],
            BySign => &[Direction::Bullish, Direction::Bearish],
            Bullish => &[Direction::Bullish],
            Bearish => &[Direction::Bearish],
        }
    }

    fn talib_name(&self) -> Option<&'static str> {
        Some(CANDLESTICKS[self.column].name)
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let candles = at.candles?;
        let talib_value = candles.value(self.column)?;
        let direction = match self.row.meaning {
            Neutral => Direction::Neutral,
            _ if talib_value > 0 => Direction::Bullish,
            _ => Direction::Bearish,
        };
        let is_confirmed = talib_value.abs() == 200;
        let bars = self.row.bars + if is_confirmed { MOST_CONFIRMING } else { 0 };
        Some(Match {
            direction,
            confidence: 0.5 + 0.5 * candles.quality(self.column),
            bars,
            levels: Levels::of(at.window, direction, bars)?,
            talib_value,
        })
    }
}
