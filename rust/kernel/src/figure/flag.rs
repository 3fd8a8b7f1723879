//! Flags and pennants.

use serde::{Deserialize, Serialize};

use super::forming::Forming;
use super::{Confirmed, Drawing, Kind, beyond, margins, within};
use crate::pattern::Direction;
use crate::study::{Extreme, Zigzag};
use crate::window::{View, WindowBar};

/// The most bars of a pole and of a flag.
const POLE_BARS: u32 = 15;
const FLAG_BARS: u32 = 20;
const LEAST_FLAG_BARS: u32 = 4;

/// A pause after a steep leg, left in the leg's direction.
///
/// rule: the pole is the leg between the newest two pivots before the bar, the newer of them its tip, a high: P ≥ 6a high,
/// in at most 15 bars. The flag are the bars after the tip, 4 to 20 of them, none of which comes back by more than 0.5·P;
/// its high is theirs. Confirmed by a close above the flag's high. stop = the flag's low, target = its high + P. A pennant is a flag whose last third is narrow: high less low at most 0.6 times that of its first
/// third, a third of n bars being ⌊n/3⌋. Bear flags and bear pennants are the mirror images. One a pole.
///
/// margins: pole P against 6a; retrace, the deepest return against 0.5·P.
///
/// Source: Bulkowski (2021), Encyclopedia of Chart Patterns, 3rd ed.; the measures are ours.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Flag {
    found: Option<Found>,
}

/// The newest flag that was confirmed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Found {
    kind: Kind,
    base: Extreme,
    tip: Extreme,
    /// The deepest return, and the flag's edge that was broken.
    dip: Extreme,
    edge: f64,
    margins: [f64; 2],
}

/// The bars of a flag, under a sign.
struct Cloth {
    high: f64,
    dip: Extreme,
    first_width: f64,
    last_width: f64,
}

impl Flag {
    /// Reads a word of what is asked of the newest one.
    pub(super) fn touch(&self) -> u64 {
        self.found.as_ref().map_or(0, |found| u64::from(found.tip.index))
    }

    /// Takes in the bar of a number; the kind that it confirms. `zigzag` and `atr` are those before it.
    pub(super) fn push(
        &mut self,
        bar: &WindowBar,
        view: View<'_>,
        zigzag: &Zigzag,
        sign: f64,
        index: u32,
        atr: f64,
    ) -> Option<Kind> {
        let found = self.flown(view.before(1), zigzag, sign, index.checked_sub(1)?, atr)?;
        if sign * (bar.close - found.edge) <= 0.0 {
            return None;
        }
        self.found = Some(found);
        Some(found.kind)
    }

    /// The flag that the bars after the tip are, of a pole that has had none: `view` ends with the bar of a number.
    fn flown(&self, view: View<'_>, zigzag: &Zigzag, sign: f64, index: u32, atr: f64) -> Option<Found> {
        let (base, tip) = pole(zigzag, sign)?;
        let height = sign * (tip.price - base.price);
        let bars = index.saturating_sub(tip.index);
        let is_pole = height >= 6.0 * atr && tip.index.saturating_sub(base.index) <= POLE_BARS;
        let is_old = self.found.is_some_and(|found| found.tip.index == tip.index);
        if !is_pole || is_old || !(LEAST_FLAG_BARS..=FLAG_BARS).contains(&bars) {
            return None;
        }
        let cloth = cloth(view, bars, sign, index)?;
        let retrace = sign * (tip.price - cloth.dip.price) / height;
        if retrace > 0.5 {
            return None;
        }
        let is_pennant = cloth.last_width <= 0.6 * cloth.first_width;
        let kind = match (sign > 0.0, is_pennant) {
            (true, false) => Kind::BullFlag,
            (true, true) => Kind::BullPennant,
            (false, false) => Kind::BearFlag,
            (false, true) => Kind::BearPennant,
        };
        let margins = [beyond(height, 6.0 * atr), within(retrace, 0.5)];
        Some(Found { kind, base, tip, dip: cloth.dip, edge: sign * cloth.high, margins })
    }

    /// What forms with the bar of a number, with which `view`, `zigzag` and `atr` are.
    pub(super) fn forming(&self, view: View<'_>, zigzag: &Zigzag, sign: f64, index: u32, atr: f64) -> Option<Forming> {
        let Found { kind, base, tip, dip, edge, margins: [pole, retrace] } =
            self.flown(view, zigzag, sign, index, atr)?;
        let bars = index - tip.index;
        let drawing = Drawing::of([&base, &tip, &dip]);
        Some(Forming {
            kind,
            direction: if sign > 0.0 { Direction::Bullish } else { Direction::Bearish },
            trigger: edge,
            slope: 0.0,
            stop: dip.price,
            target: edge + (tip.price - base.price),
            waited: bars - LEAST_FLAG_BARS,
            left: FLAG_BARS - bars + 1,
            points: drawing.points,
            count: drawing.count,
            margins: margins([pole, retrace]),
        })
    }

    /// What it is, if the newest bar has confirmed it.
    pub(super) fn confirmed(&self, kind: Kind, bar: &WindowBar) -> Option<Confirmed> {
        let Found { base, tip, dip, edge, margins: [pole, retrace], .. } =
            self.found.filter(|found| found.kind == kind)?;
        let (points, count) = Drawing::of([&base, &tip, &dip]).ended(bar);
        Some(Confirmed {
            direction: if tip.price > base.price { Direction::Bullish } else { Direction::Bearish },
            stop: dip.price,
            target: edge + (tip.price - base.price),
            invalidation: dip.price,
            points,
            count,
            first: base.index,
            margins: margins([pole, retrace]),
        })
    }
}

/// Base and tip of the newest confirmed leg, if it goes in the sign's direction.
fn pole(zigzag: &Zigzag, sign: f64) -> Option<(Extreme, Extreme)> {
    let tip = zigzag.pivot(0).filter(|tip| tip.is_high == (sign > 0.0))?;
    Some((zigzag.pivot(1)?.at, tip.at))
}

/// The newest `bars` bars, the last of which has this number.
fn cloth(view: View<'_>, bars: u32, sign: f64, index: u32) -> Option<Cloth> {
    let third = bars as usize / 3;
    let (first, last) = (bars as usize - third, third);
    let mut all = [f64::NEG_INFINITY, f64::INFINITY];
    let (mut older, mut newer) = (all, all);
    let mut dip = Extreme { price: f64::INFINITY, ..Extreme::default() };
    for back in 0..bars as usize {
        let bar = view.bar(back)?;
        let (high, low) = if sign > 0.0 { (bar.high, bar.low) } else { (-bar.low, -bar.high) };
        let widen = |range: &mut [f64; 2]| *range = [range[0].max(high), range[1].min(low)];
        widen(&mut all);
        if back >= first {
            widen(&mut older);
        }
        if back < last {
            widen(&mut newer);
        }
        if low < dip.price {
            dip = Extreme { price: low, ts_us: bar.ts_us, index: index.saturating_sub(back as u32), ..dip };
        }
    }
    dip.price *= sign;
    Some(Cloth { high: all[0], dip, first_width: older[0] - older[1], last_width: newer[0] - newer[1] })
}
