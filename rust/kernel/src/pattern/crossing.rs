//! Lines that cross each other, and oscillators that leave their bounds.

use super::{Closing, Direction, Explained, Levels, Match, Pattern, graded};
use crate::study::{Momentum, Step};
use crate::timeframe::Timeframe;

/// What crosses what.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    /// Exponential averages of 9 and 20 closes.
    Ema9x20,
    /// Exponential averages of 12 and 26 closes.
    Ema12x26,
    /// Averages of 50 and 200 closes.
    Sma50x200,
    /// MACD 12/26/9 and its signal.
    Macd,
    /// RSI 14 and its bounds 30 and 70, from outside.
    RsiBack,
    /// The same, from inside.
    RsiOut,
    /// %K and %D of the stochastic 14/1/3, below 20 or above 80.
    Stochastic,
    /// The close and the session's VWAP.
    Vwap,
}

/// One line goes from one side of another to the other side of it.
///
/// rule: with d the one less the other, d₋₁ ≤ 0 and d > 0 is bullish, d₋₁ ≥ 0 and d < 0 bearish: to touch is not to cross.
///
/// | id | d | more |
/// |---|---|---|
/// | `ema_9_20_cross` | EMA 9 − EMA 20 | |
/// | `ma_crossover` | EMA 12 − EMA 26 | d₋₁ < 0 and d > 0, as its specification has it |
/// | `golden_cross` | SMA 50 − SMA 200 | |
/// | `macd_cross` | MACD 12/26/9 − its signal | |
/// | `rsi_reversal` | RSI 14 up through 30: bullish; down through 70: bearish | |
/// | `rsi_extreme` | RSI 14 down through 30, up through 70 | neutral |
/// | `stochastic_cross` | %K − %D of 14/1/3 | bullish with %K < 20, bearish with %K > 80 |
/// | `vwap_cross` | c − VWAP of the session | only where \|d\| ≥ 0.1a |
///
/// Averages begin with their first value. After a firing five bars are silent, ten after `vwap_cross`.
///
/// confidence: q = the change of d in the bar, in 0.25a (averages, MACD), in 10 points (RSI), in 20 points (stochastic);
/// of VWAP |d|/a.
/// stop: a beyond the slower average; half of that beyond VWAP; of the others as of a figure of 2 bars.
/// invalidation: the slower average, or VWAP.
pub(super) struct Crossing {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) lines: Lines,
    pub(super) bars_needed: usize,
    pub(super) source: &'static str,
}

impl Crossing {
    /// Which way, and how fast.
    fn crossed(&self, momentum: &Momentum, atr: f64) -> Option<(Direction, f64)> {
        let in_price = |step: &Step| (step.is - step.was).abs() / (0.25 * atr);
        let (way, q) = match self.lines {
            Lines::Ema9x20 => (momentum.ema_9_20.crosses(0.0), in_price(&momentum.ema_9_20)),
            Lines::Ema12x26 => {
                let step = &momentum.ema_12_26;
                (if step.was == 0.0 { 0 } else { step.crosses(0.0) }, in_price(step))
            }
            Lines::Sma50x200 => (momentum.sma_50_200.crosses(0.0), in_price(&momentum.sma_50_200)),
            Lines::Macd => (momentum.histogram.crosses(0.0), in_price(&momentum.histogram)),
            Lines::RsiBack | Lines::RsiOut => {
                let rsi = &momentum.rsi;
                let back = i8::from(rsi.rises_through(30.0)) - i8::from(rsi.falls_through(70.0));
                let out = rsi.falls_through(30.0) || rsi.rises_through(70.0);
                let q = (rsi.is - rsi.was).abs() / 10.0;
                if self.lines == Lines::RsiOut {
                    return out.then_some((Direction::Neutral, q));
                }
                (back, q)
            }
            Lines::Stochastic => {
                let way = momentum.stochastic.crosses(0.0);
                let is_outside = if way > 0 { momentum.k < 20.0 } else { momentum.k > 80.0 };
                (way * i8::from(is_outside), (momentum.stochastic.is - momentum.stochastic.was).abs() / 20.0)
            }
            Lines::Vwap => {
                let is_clear = momentum.vwap.is.abs() >= 0.1 * atr;
                (momentum.vwap.crosses(0.0) * i8::from(is_clear), momentum.vwap.is.abs() / atr)
            }
        };
        let direction = match way {
            1 => Direction::Bullish,
            -1 => Direction::Bearish,
            _ => return None,
        };
        Some((direction, q))
    }

    fn levels(&self, at: &Closing<'_>, direction: Direction, momentum: &Momentum, atr: f64) -> Option<Levels> {
        let close = at.window.bar(0)?.close;
        let line = match self.lines {
            Lines::Ema9x20 => momentum.slow[0],
            Lines::Ema12x26 => momentum.slow[1],
            Lines::Sma50x200 => momentum.slow[2],
            Lines::Vwap => close - momentum.vwap.is,
            _ => return Levels::of(at.window, direction, 2),
        };
        let sign = f64::from(direction as i8);
        let stop = line - sign * if self.lines == Lines::Vwap { 0.5 * atr } else { atr };
        Some(Levels::given(close, direction, stop, close + 2.0 * (close - stop)).void(line))
    }
}

impl Pattern for Crossing {
    fn id(&self) -> &'static str {
        self.id
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn bars_needed(&self) -> usize {
        self.bars_needed
    }

    fn directions(&self) -> &'static [Direction] {
        if self.lines == Lines::RsiOut { Direction::Neutral.alone() } else { &[Direction::Bullish, Direction::Bearish] }
    }

    fn longest(&self) -> Timeframe {
        if self.lines == Lines::Vwap { Timeframe::Hour4 } else { Timeframe::Weekly }
    }

    fn source(&self) -> &'static str {
        self.source
    }

    fn cooldown(&self) -> u8 {
        if self.lines == Lines::Vwap { 10 } else { 5 }
    }

    fn needs_study(&self) -> bool {
        true
    }

    fn flags(&self, at: &Closing<'_>) -> u8 {
        if self.lines == Lines::Vwap { at.session.flags() } else { 0 }
    }

    fn conditions(&self) -> &'static [&'static str] {
        &["speed"]
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let (study, atr) = at.measured()?;
        let (direction, q) = self.crossed(study.momentum(), atr)?;
        graded(direction, q, 2, self.levels(at, direction, study.momentum(), atr)?)
    }

    fn explain(&self, _: &Closing<'_>, found: &Match) -> Explained {
        Explained::graded(found)
    }
}
