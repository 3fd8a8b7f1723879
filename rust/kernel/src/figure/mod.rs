//! Chart patterns on the swings of a symbol: figures that form when a pivot is confirmed, and what confirms them.
//!
//! A figure FORMS at the bar that confirms its newest pivot, if the pivots fit its geometry; a close beyond one of its lines, at
//! that bar or later, CONFIRMS it, which is the event; a close beyond the other one, or its time, counted from the bar at which it
//! formed, ends it. So does a newer figure in its place (all that [`envelope`] tells apart share one), the crossing of its lines, and
//! that its pivots are no longer among the newest 16. What has nothing to wait for, a harmonic shape or a divergence, is confirmed as
//! it forms, and nothing is kept of it ([`seen`]). Geometry is written once, for one side: the other is the same pivots with
//! their prices' sign turned, so that the one is the exact mirror image of the other.
//!
//! In every definition h₁, l₁, h₂ … are the newest alternating pivots, a is the average true range at the bar at which
//! the figure forms, and i(p) the number of a pivot's bar.

mod cup;
mod divergence;
mod double;
mod envelope;
mod flag;
mod forming;
mod harmonic;
mod kind;
mod line;
mod seen;
mod shoulders;
mod structure;
mod triple;
mod turn;

use serde::{Deserialize, Serialize};

use crate::detectors::Bits;
use crate::pattern::Direction;
use crate::study::{Extreme, PIVOTS_KEPT, Pivot, Zigzag};
use crate::window::{View, WindowBar};
use cup::CupHandle;
use divergence::Divergence;
use double::Double;
use envelope::Envelope;
use flag::Flag;
pub use forming::Forming;
use harmonic::Harmonic;
pub use kind::Kind;
pub use line::Line;
use seen::Sight;
use shoulders::Shoulders;
use structure::Structure;
use triple::Triple;
use turn::Turn;

/// The most points that draw a figure, the bar that confirms it included.
pub const MOST_POINTS: usize = 8;

/// The most conditions of a figure.
pub const MOST_MARGINS: usize = 6;

/// The newest pivots, in a sign: under −1 lows are highs, and a price is its negative.
#[derive(Clone, Copy)]
pub(crate) struct Pivots<'a> {
    zigzag: &'a Zigzag,
    sign: f64,
}

impl<'a> Pivots<'a> {
    fn new(zigzag: &'a Zigzag, sign: f64) -> Self {
        Self { zigzag, sign }
    }

    /// The prices and the places of the newest `N` pivots, the newest first, if that is a high; `None` if there are fewer.
    fn newest<const N: usize>(self) -> Option<[(f64, f64); N]> {
        let mut all = [(0.0, 0.0); N];
        for (back, each) in (0u32..).zip(&mut all) {
            let Pivot { at, .. } = self.zigzag.pivot(back)?;
            *each = (self.sign * at.price, f64::from(at.index));
        }
        let is_high = self.zigzag.pivot(0)?.is_high;
        (is_high == (self.sign > 0.0)).then_some(all)
    }
}

/// Which closes confirm a figure; those beyond its other line end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Breaks {
    /// Above its upper line.
    Up,
    /// Below its lower line.
    Down,
    /// Either.
    Both,
}

impl Breaks {
    /// Whether those do that point this way.
    fn allow(self, direction: Direction) -> bool {
        match direction {
            Direction::Bullish => self != Self::Down,
            Direction::Bearish => self != Self::Up,
            Direction::Neutral => false,
        }
    }
}

/// A figure that has formed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Form {
    kind: Kind,
    upper: Line,
    lower: Line,
    breaks: Breaks,
    /// How far a close must be beyond the line, in price.
    clearance: f64,
    /// From the line that was broken to the target.
    height: f64,
    /// The price behind which the figure was wrong; NaN for the other line.
    stop: f64,
    /// Bars after its forming in which it may be confirmed.
    life: f64,
    /// A bit for each of the newest pivots that draws it, the newest lowest.
    drawn: u16,
    /// How far inside of each condition's threshold it is: 0 at it, 1 for a textbook figure; NaN for none.
    margins: [f64; MOST_MARGINS],
}

impl Form {
    /// How many pivots back the oldest of those that draw it is, counted from 1.
    fn oldest(&self) -> u32 {
        u16::BITS - self.drawn.leading_zeros()
    }

    /// The same figure with the prices' sign turned, if it is under `sign` −1.
    fn signed(self, sign: f64, kind: Kind) -> Self {
        if sign > 0.0 {
            return Self { kind, ..self };
        }
        let breaks = match self.breaks {
            Breaks::Up => Breaks::Down,
            Breaks::Down => Breaks::Up,
            Breaks::Both => Breaks::Both,
        };
        Self { kind, upper: self.lower.mirrored(), lower: self.upper.mirrored(), breaks, stop: -self.stop, ..self }
    }
}

/// A kind of figure that pivots make.
trait Figure: Sync {
    /// The figure that the newest pivots make, if they make one.
    fn form(&self, zigzag: &Zigzag, atr: f64) -> Option<Form>;
}

/// What is looked for whenever a pivot is confirmed, each in a place of its own.
static FIGURES: [&dyn Figure; PLACES] = [
    &Double::TOP,
    &Double::BOTTOM,
    &Triple::TOP,
    &Triple::BOTTOM,
    &Shoulders::TOP,
    &Shoulders::BOTTOM,
    &Envelope,
    &CupHandle::UPRIGHT,
    &CupHandle::INVERSE,
];
const PLACES: usize = 9;

/// What is confirmed as it forms, and so has no place.
static SIGHTS: [&dyn Sight; 3] = [&Divergence::RSI, &Divergence::MACD, &Harmonic];

/// A figure in its place.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Place {
    form: Form,
    /// Number of the bar at which it formed.
    formed: u32,
    /// The pivot that completed it.
    newest: u32,
    /// Number of the bar at which it was confirmed or ended.
    ended: Option<u32>,
    direction: i8,
}

/// What the newest bar confirms of a kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confirmed {
    /// Which way.
    pub direction: Direction,
    /// The price behind which it is wrong.
    pub stop: f64,
    /// The price that its height leads to; NaN for none.
    pub target: f64,
    /// The price that a close must not come back beyond.
    pub invalidation: f64,
    /// Starts of the bars (µs) and prices of what draws it, oldest first, the confirming bar last.
    pub points: [(i64, f64); MOST_POINTS],
    /// How many there are.
    pub count: usize,
    /// Number of the first point's bar.
    pub first: u32,
    /// See [`quality`].
    pub margins: [f64; MOST_MARGINS],
}

/// How textbook a figure is, 0 to 1: the geometric mean of its margins.
#[must_use]
pub fn quality(margins: &[f64; MOST_MARGINS]) -> f64 {
    let known = margins.iter().filter(|margin| !margin.is_nan());
    let (product, count) =
        known.fold((1.0, 0), |(product, count), margin| (product * margin.clamp(0.0, 1.0), count + 1));
    if count == 0 { 1.0 } else { product.powf(1.0 / f64::from(count)) }
}

/// Margins that a figure has, and NaN for the rest.
fn margins<const N: usize>(known: [f64; N]) -> [f64; MOST_MARGINS] {
    let mut all = [f64::NAN; MOST_MARGINS];
    for (margin, known) in all.iter_mut().zip(known) {
        *margin = known.clamp(0.0, 1.0);
    }
    all
}

/// A bit for each of the newest `pivots` pivots, at most 15.
const fn newest(pivots: u32) -> u16 {
    (1 << pivots) - 1
}

/// How far `value` is above `least`, as a share of it: 1 from twice the least on.
fn beyond(value: f64, least: f64) -> f64 {
    (value - least) / least
}

/// How much of a tolerance is left.
fn within(difference: f64, tolerance: f64) -> f64 {
    1.0 - difference.abs() / tolerance
}

/// Chart patterns that form, and those that the newest bar confirms.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Charts {
    /// Number of the newest bar.
    index: u32,
    /// A bit for each kind that it confirms.
    confirmed: u64,
    /// A bit for each place whose figure has neither been confirmed nor ended: the others are not looked at.
    waiting: u64,
    places: [Option<Place>; PLACES],
    flags: [Flag; 2],
    turns: [Turn; 2],
    structure: Structure,
}

impl Charts {
    /// A bar of this number begins: nothing is confirmed by it yet.
    pub(crate) fn begin(&mut self, index: u32) {
        (self.index, self.confirmed) = (index, 0);
    }

    /// What the bar does to flags: a pole is of the swings before it.
    pub(crate) fn fly(&mut self, bar: &WindowBar, view: View<'_>, zigzag: &Zigzag, atr: f64) {
        for (flag, sign) in self.flags.iter_mut().zip([1.0, -1.0]) {
            if let Some(kind) = flag.push(bar, view, zigzag, sign, self.index, atr) {
                self.confirmed |= kind.bit();
            }
        }
    }

    /// What the bar does to all others; `is_pivot`: it has confirmed one.
    pub(crate) fn push(&mut self, bar: &WindowBar, zigzag: &Zigzag, is_pivot: bool, atr: f64) {
        if is_pivot {
            for (number, (place, figure)) in self.places.iter_mut().zip(FIGURES).enumerate() {
                if let Some(form) = figure.form(zigzag, atr) {
                    let newest = zigzag.count();
                    *place = Some(Place { form, formed: self.index, newest, ended: None, direction: 0 });
                    self.waiting |= 1 << number;
                }
            }
            for seen in SIGHTS.iter().filter_map(|sight| sight.look(zigzag, atr)) {
                self.confirmed |= seen.kind.bit();
            }
        }
        for number in Bits(self.waiting) {
            let Some(place) = &mut self.places[number] else { continue };
            if place.push(bar.close, self.index, zigzag.count()) {
                self.confirmed |= place.form.kind.bit();
            }
            if place.ended.is_some() {
                self.waiting &= !(1 << number);
            }
        }
        for (turn, sign) in self.turns.iter_mut().zip([1.0, -1.0]) {
            if let Some(kind) = turn.push(bar, zigzag, sign, self.index, atr) {
                self.confirmed |= kind.bit();
            }
        }
        for kind in self.structure.push(bar, zigzag, is_pivot, atr).into_iter().flatten() {
            self.confirmed |= kind.bit();
        }
    }

    /// A bit for each kind that the newest bar confirms.
    #[must_use]
    pub fn kinds(&self) -> u64 {
        self.confirmed
    }

    /// What the newest bar confirms of a kind, if anything; `zigzag` and `atr` are those with it.
    #[must_use]
    pub fn confirmed(&self, kind: Kind, bar: &WindowBar, zigzag: &Zigzag, atr: Option<f64>) -> Option<Confirmed> {
        if self.confirmed & kind.bit() == 0 {
            return None;
        }
        match kind {
            Kind::BullFlag | Kind::BearFlag | Kind::BullPennant | Kind::BearPennant => {
                self.flags.iter().find_map(|flag| flag.confirmed(kind, bar))
            }
            Kind::VTop | Kind::VBottom => self.turns.iter().find_map(|turn| turn.confirmed(kind, bar, zigzag)),
            Kind::HigherHighs | Kind::LowerLows | Kind::BreakOfStructure | Kind::ChangeOfCharacter => {
                self.structure.confirmed(kind, bar, zigzag)
            }
            Kind::RsiDivergence | Kind::MacdDivergence | Kind::Gartley | Kind::Bat | Kind::Butterfly | Kind::Crab => {
                let mut seen = SIGHTS.iter().filter_map(|sight| sight.look(zigzag, atr?));
                seen.find(|seen| seen.kind == kind)?.confirmed(bar, zigzag)
            }
            _ => self.places.iter().flatten().find_map(|place| place.confirmed(kind, self.index, bar, zigzag)),
        }
    }

    /// Reads a word of each line that a bar which makes no pivot will ask for; see `History::touch`.
    pub(crate) fn touch(&self) -> u64 {
        let of = |place: &Place| {
            let Form { clearance, life, .. } = place.form;
            u64::from(place.formed) ^ place.form.upper.touch() ^ clearance.to_bits() ^ life.to_bits()
        };
        let flown = self.flags.iter().fold(0, |bits, flag| bits ^ flag.touch());
        let turned = self.turns.iter().fold(flown, |bits, turn| bits ^ turn.touch());
        let asked = Bits(self.waiting).filter_map(|number| self.places[number].as_ref());
        asked.fold(self.confirmed ^ turned, |bits, place| bits ^ of(place))
    }
}

impl Place {
    /// Takes in a close, while it waits; whether it confirms the figure.
    fn push(&mut self, close: f64, index: u32, pivots: u32) -> bool {
        let Form { upper, lower, breaks, clearance, life, .. } = self.form;
        let here = f64::from(index);
        let (above, below) = (upper.under(close, here), -lower.under(close, here));
        let rises = breaks.allow(Direction::Bullish) && above > clearance;
        let falls = breaks.allow(Direction::Bearish) && below > clearance;
        let is_void = breaks == Breaks::Down && above > 0.0 || breaks == Breaks::Up && below > 0.0;
        // Lines that have crossed enclose nothing.
        let is_over = here - f64::from(self.formed) > life || upper.at(here) <= lower.at(here);
        // Its own pivots must still be remembered when it is drawn.
        let is_forgotten = pivots.saturating_sub(self.newest).saturating_add(self.form.oldest()) > PIVOTS_KEPT;
        if is_void || is_over || is_forgotten || rises || falls {
            self.ended = Some(index);
        }
        if is_void || is_over || is_forgotten {
            return false;
        }
        self.direction = i8::from(rises) - i8::from(falls);
        rises || falls
    }

    /// Its pivots; `None` if one is no longer remembered.
    fn drawn(&self, zigzag: &Zigzag) -> Option<Drawing> {
        let newer = zigzag.count().saturating_sub(self.newest);
        let mut drawing = Drawing::default();
        for back in (0..u16::BITS).rev().filter(|back| self.form.drawn >> back & 1 == 1) {
            drawing.push(&zigzag.pivot(newer.saturating_add(back))?.at);
        }
        Some(drawing)
    }

    fn confirmed(&self, kind: Kind, index: u32, bar: &WindowBar, zigzag: &Zigzag) -> Option<Confirmed> {
        let Form { upper, lower, height, stop, margins, .. } = self.form;
        if self.form.kind != kind || self.ended != Some(index) || self.direction == 0 {
            return None;
        }
        let here = f64::from(index);
        let (broken, other) =
            if self.direction > 0 { (upper.at(here), lower.at(here)) } else { (lower.at(here), upper.at(here)) };
        let drawing = self.drawn(zigzag)?;
        let first = drawing.first;
        let (points, count) = drawing.ended(bar);
        Some(Confirmed {
            direction: if self.direction > 0 { Direction::Bullish } else { Direction::Bearish },
            stop: if stop.is_nan() { other } else { stop },
            target: broken + f64::from(self.direction) * height,
            invalidation: if stop.is_nan() { other } else { stop },
            points,
            count,
            first,
            margins,
        })
    }
}

/// The points of a figure, oldest first.
#[derive(Default)]
struct Drawing {
    points: [(i64, f64); MOST_POINTS],
    count: usize,
    first: u32,
}

impl Drawing {
    /// Of these points, oldest first.
    fn of<'a>(points: impl IntoIterator<Item = &'a Extreme>) -> Self {
        let mut drawing = Self::default();
        points.into_iter().for_each(|at| drawing.push(at));
        drawing
    }

    fn push(&mut self, at: &Extreme) {
        if self.count == 0 {
            self.first = at.index;
        }
        if let Some(point) = self.points.get_mut(self.count) {
            *point = (at.ts_us, at.price);
            self.count += 1;
        }
    }

    /// With the bar that confirms it, at its close.
    fn ended(mut self, bar: &WindowBar) -> ([(i64, f64); MOST_POINTS], usize) {
        self.push(&Extreme { price: bar.close, ts_us: bar.ts_us, ..Extreme::default() });
        (self.points, self.count)
    }
}
