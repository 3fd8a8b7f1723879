//! Divergences of price and RSI, and of price and MACD.

use super::seen::{Seen, Sight};
use super::{Kind, beyond, margins};
use crate::pattern::Direction;
use crate::study::{Extreme, Zigzag};

/// A swing that goes further than the one before it, with less behind it.
///
/// rule, of the pivots h₁ l₁ h₂, h₂ the newest: h₂ − h₁ ≥ 0.3a, 5 ≤ i(h₂) − i(h₁) ≤ 60, and of the reading r at the close of
/// each high's bar r(h₁) ≥ least and r(h₁) − r(h₂) ≥ step. Confirmed by the bar that confirms h₂. stop = h₂ + 0.1a,
/// target = l₁. A bullish one, of lows, is the mirror image.
///
/// | figure | r | least | step |
/// |---|---|---|---|
/// | RSI divergence | RSI 14 − 50 | 10 | 5 |
/// | MACD divergence | histogram 12/26/9, in a | 0.2 | 0.2 |
///
/// Why so: highs within 0.3a can be a double top. Within 5 bars they are one top; of what RSI held 60 bars ago Wilder's average
/// keeps 1 %. A first high without momentum has none to lose: Wilder calls 70 overbought, and 60 is half the way. One bar in four
/// moves RSI by 5 or more, and one in ten the histogram by 0.1a, which turns sooner than the price does anyway.
///
/// margins: price h₂ − h₁ against 0.3a; reading r(h₁) against least; drop r(h₁) − r(h₂) against step.
///
/// Source: Wilder (1978), New Concepts in Technical Trading Systems; Murphy (1999), Technical Analysis of the Financial
/// Markets, ch. 10; the measures are ours.
pub(super) struct Divergence {
    kind: Kind,
    /// What is compared, of a swing and a; below 0 where prices fall.
    reading: fn(&Extreme, f64) -> f64,
    least: f64,
    step: f64,
}

impl Divergence {
    pub(super) const RSI: Self =
        Self { kind: Kind::RsiDivergence, reading: |at, _| at.rsi - 50.0, least: 10.0, step: 5.0 };
    pub(super) const MACD: Self =
        Self { kind: Kind::MacdDivergence, reading: |at, atr| at.histogram / atr, least: 0.2, step: 0.2 };
}

impl Sight for Divergence {
    fn look(&self, zigzag: &Zigzag, atr: f64) -> Option<Seen> {
        let newer = zigzag.pivot(0)?;
        let (sign, direction) = if newer.is_high { (1.0, Direction::Bearish) } else { (-1.0, Direction::Bullish) };
        let (newer, between, older) = (&newer.at, &zigzag.pivot(1)?.at, &zigzag.pivot(2)?.at);
        let further = sign * (newer.price - older.price);
        let [before, now] = [older, newer].map(|at| sign * (self.reading)(at, atr));
        let drop = before - now;
        let fits = further >= 0.3 * atr
            && (5..=60).contains(&newer.index.saturating_sub(older.index))
            && before >= self.least
            && drop >= self.step;
        fits.then(|| Seen {
            kind: self.kind,
            direction,
            stop: newer.price + sign * 0.1 * atr,
            target: between.price,
            pivots: 3,
            margins: margins([beyond(further, 0.3 * atr), beyond(before, self.least), beyond(drop, self.step)]),
        })
    }
}
