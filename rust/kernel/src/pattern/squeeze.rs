//! Narrow Bollinger bands, and closes that leave them.

use super::{Closing, Direction, Explained, Levels, Match, Pattern, graded};

const BARS: u16 = 20;

/// What must have been before a close leaves the bands.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum After {
    /// The narrowest bands of 120 bars.
    Narrow,
    /// Bollinger's bands within Keltner's.
    Squeeze,
}

/// A close leaves Bollinger's bands after they were narrow.
///
/// rule of `RangeBO`: at one of the last 10 bars before, or at this one, the bands' width (upper − lower)/middle was lower than at
/// any of the 119 bars before it, and c goes above the upper band: c > upper and c₋₁ ≤ upper₋₁. Of `SqueezeBO`: at one
/// of the last 10 bars before, but not at this one, the bands lay within Keltner's (mean of an exponential average of 20
/// closes ± 1.5a). Bullish; the mirror image below the lower band is bearish. Bands: 20 closes, 2σ, n − 1. The ten bars after a
/// firing are silent.
///
/// confidence: q = (c − upper)/a. stop = the middle band, target = close + 2 · (upper − middle), invalidation = the middle.
pub(super) struct BandBreakout {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) after: After,
}

impl Pattern for BandBreakout {
    fn id(&self) -> &'static str {
        self.id
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn bars_needed(&self) -> usize {
        usize::from(BARS) + if self.after == After::Narrow { 120 } else { 1 }
    }

    fn source(&self) -> &'static str {
        "Bollinger (2001), Bollinger on Bollinger Bands: the squeeze; Carter (2005), Mastering the Trade, for Keltner's bands"
    }

    fn cooldown(&self) -> u8 {
        10
    }

    fn needs_study(&self) -> bool {
        true
    }

    fn points(&self) -> &'static [&'static str] {
        &["break"]
    }

    fn conditions(&self) -> &'static [&'static str] {
        &["beyond"]
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let (study, atr) = at.measured()?;
        let bands = study.bands();
        let since = match self.after {
            After::Narrow => bands.since_narrow(),
            After::Squeeze => bands.since_squeeze(),
        };
        since?;
        let bar = at.window.bar(0)?;
        let (direction, sign, band) = match bands.leaves() {
            1 => (Direction::Bullish, 1.0, bands.upper),
            -1 => (Direction::Bearish, -1.0, bands.lower),
            _ => return None,
        };
        let target = bar.close + sign * 2.0 * (bands.upper - bands.middle);
        let levels = Levels::given(bar.close, direction, bands.middle, target);
        graded(direction, sign * (bar.close - band) / atr, BARS, levels)
    }

    fn explain(&self, at: &Closing<'_>, found: &Match) -> Explained {
        let mut said = Explained::graded(found);
        said.break_at(at);
        said
    }
}

/// Bollinger's bands go within Keltner's: the price hardly moves beside its usual range.
///
/// rule: upper < EMA20 + 1.5a and lower > EMA20 − 1.5a, and not so at the bar before. Neutral. The ten bars after a firing
/// are silent.
///
/// confidence: q = 1 − (upper − lower)/3a.
pub(super) struct SqueezeOn;

impl Pattern for SqueezeOn {
    fn id(&self) -> &'static str {
        "squeeze_on"
    }

    fn name(&self) -> &'static str {
        "SqueezeOn"
    }

    fn bars_needed(&self) -> usize {
        usize::from(BARS)
    }

    fn directions(&self) -> &'static [Direction] {
        &[Direction::Neutral]
    }

    fn source(&self) -> &'static str {
        "Carter (2005), Mastering the Trade: the TTM squeeze; confidence is ours"
    }

    fn cooldown(&self) -> u8 {
        10
    }

    fn needs_study(&self) -> bool {
        true
    }

    fn conditions(&self) -> &'static [&'static str] {
        &["narrow"]
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let (study, atr) = at.measured()?;
        let bands = study.bands();
        let q = 1.0 - (bands.upper - bands.lower) / (3.0 * atr);
        let levels = Levels::of(at.window, Direction::Neutral, 1)?;
        bands.begins_squeeze().then(|| graded(Direction::Neutral, q, BARS, levels))?
    }

    fn explain(&self, _: &Closing<'_>, found: &Match) -> Explained {
        Explained::graded(found)
    }
}
