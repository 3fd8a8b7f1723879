//! `VolumeSpike`.

use super::{Closing, Direction, Levels, Match, Pattern};
use crate::window::VOLUME_BARS;

/// Times the mean.
const THRESHOLD: f64 = 3.0;

/// The bar traded more than three times what the bars before it did.
///
/// rule: v > 3 · mean, where mean = mean volume of the 20 bars before, and mean > 0. Direction: the bar's own colour;
/// neutral where it closes where it opened.
///
/// confidence: 0.5 + 0.5 · min(1, v / (3 · mean) − 1): 0.5 at the threshold, 1 from six times the mean.
///
/// The match is made by all 21 bars; its levels are those of the spike alone.
pub(super) struct VolumeSpike;

impl Pattern for VolumeSpike {
    fn id(&self) -> &'static str {
        "volume_spike"
    }

    fn name(&self) -> &'static str {
        "VolumeSpike"
    }

    fn bars_needed(&self) -> usize {
        VOLUME_BARS + 1
    }

    fn directions(&self) -> &'static [Direction] {
        &[Direction::Bullish, Direction::Neutral, Direction::Bearish]
    }

    fn source(&self) -> &'static str {
        "TickStockAppV2 pattern registry: VolumeSpike, volume above 3 times its mean; confidence is ours"
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let window = at.window;
        let bar = window.bar(0)?;
        let mean = window.mean_volume(1, VOLUME_BARS)?;
        let volume = bar.volume as f64;
        if mean <= 0.0 || volume <= THRESHOLD * mean {
            return None;
        }
        let direction = if bar.is_bullish() {
            Direction::Bullish
        } else if bar.is_bearish() {
            Direction::Bearish
        } else {
            Direction::Neutral
        };
        Some(Match {
            direction,
            confidence: 0.5 + 0.5 * (volume / (THRESHOLD * mean) - 1.0).min(1.0),
            bars: VOLUME_BARS as u16 + 1,
            levels: Levels::of(window, direction, 1)?,
            talib_value: 0,
        })
    }
}
