//! `VolumeSpike`.

use super::minute_volumes::Usual;
use super::{Closing, Direction, Levels, Match, Pattern};
use crate::timeframe::Timeframe;
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
        spike(at)
    }
}

/// Sessions of which a minute's largest volume says what is usual in it.
const LEAST_SESSIONS: u32 = 10;

/// The bar traded more than three times what the bars before it did, and no less than that minute of other days.
///
/// rule: that of `volume_spike`, and v ≥ the 99th percentile of what the same minute of the session traded on the days before,
/// where at least 10 are known: of so few it is the largest. The days are those of the session's week and of the three
/// weeks before; one counts if the symbol was seen from its first five minutes on, or in a session before it, and all
/// before a split (an open 35 % from the last close) are forgotten. Direction as there.
///
/// confidence: that of `volume_spike`.
///
/// Days before a start are those of which it is told; their minutes are to be stored. Of 1-minute bars alone.
pub(super) struct VolumeSpikeOfDay;

impl VolumeSpikeOfDay {
    /// What is usual in the minute of the newest bar, where enough days say so.
    fn usual(at: &Closing<'_>) -> Option<Usual> {
        let usual = at.volumes?.usual(&at.window.bar(0)?, at.session);
        (usual.sessions >= LEAST_SESSIONS).then_some(usual)
    }
}

impl Pattern for VolumeSpikeOfDay {
    fn id(&self) -> &'static str {
        "volume_spike_of_day"
    }

    fn name(&self) -> &'static str {
        VolumeSpike.name()
    }

    fn bars_needed(&self) -> usize {
        VolumeSpike.bars_needed()
    }

    fn longest(&self) -> Timeframe {
        Timeframe::Min1
    }

    fn directions(&self) -> &'static [Direction] {
        VolumeSpike.directions()
    }

    fn source(&self) -> &'static str {
        "TickStockPL's plan: VolumeSpike by minute of the session; confidence is ours"
    }

    fn needs_volumes(&self) -> bool {
        true
    }

    fn flags(&self, at: &Closing<'_>) -> u8 {
        Self::usual(at).map_or(0, |usual| usual.flags)
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        let found = spike(at)?;
        let bar = at.window.bar(0)?;
        Self::usual(at).is_none_or(|usual| usual.is_reached(bar.volume)).then_some(found)
    }
}

/// A bar that traded more than three times the mean of those before it.
fn spike(at: &Closing<'_>) -> Option<Match> {
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
