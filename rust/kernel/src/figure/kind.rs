//! What figures there are.

use serde::{Deserialize, Serialize};

/// What figures there are; as a number, a bit of what a bar has confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum Kind {
    /// Two highs at one price.
    DoubleTop,
    /// Two lows at one price.
    DoubleBottom,
    /// Three highs at one price.
    TripleTop,
    /// Three lows at one price.
    TripleBottom,
    /// A high between two lower ones.
    HeadShoulders,
    /// A low between two higher ones.
    InverseHeadShoulders,
    /// Between two level lines.
    Rectangle,
    /// Between a level line above and a rising one below.
    AscTriangle,
    /// Between a falling line above and a level one below.
    DescTriangle,
    /// Between a falling line above and a rising one below.
    SymTriangle,
    /// Between a rising line above and a falling one below.
    Broadening,
    /// Between two rising lines that meet.
    RisingWedge,
    /// Between two falling lines that meet.
    FallingWedge,
    /// Between two rising lines side by side.
    ChannelUp,
    /// Between two falling lines side by side.
    ChannelDown,
    /// A pause after a steep rise.
    BullFlag,
    /// A pause after a steep fall.
    BearFlag,
    /// A pause after a steep rise that narrows.
    BullPennant,
    /// A pause after a steep fall that narrows.
    BearPennant,
    /// A steep rise, turned as steeply.
    VTop,
    /// A steep fall, turned as steeply.
    VBottom,
    /// A higher high and a higher low.
    HigherHighs,
    /// A lower high and a lower low.
    LowerLows,
    /// A close beyond the last swing, with the trend.
    BreakOfStructure,
    /// A close beyond the last swing, against the trend.
    ChangeOfCharacter,
    /// A low between two highs at one price, and a smaller one after it.
    CupHandle,
    /// A high between two lows at one price, and a smaller one after it.
    InverseCupHandle,
    /// A swing further than the one before it, with a weaker RSI.
    RsiDivergence,
    /// A swing further than the one before it, with a weaker histogram of MACD.
    MacdDivergence,
    /// Five pivots: the second leg takes back 0.618 of the first, and all of them 0.786.
    Gartley,
    /// 0.382 to 0.5, and 0.886.
    Bat,
    /// 0.786, and 1.27 to 1.618.
    Butterfly,
    /// 0.382 to 0.618, and 1.618.
    Crab,
}

impl Kind {
    /// Its bit of what a bar has confirmed.
    pub(super) fn bit(self) -> u64 {
        1 << self as u32
    }
}
