//! Figures that have formed and that no close has confirmed yet: what may still become nothing.

use super::{Charts, Form, Kind, MOST_MARGINS, MOST_POINTS, Place};
use crate::pattern::Direction;
use crate::study::{PIVOTS_KEPT, Zigzag};
use crate::window::View;

/// A way out of a figure that has formed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forming {
    /// What has formed.
    pub kind: Kind,
    /// Which way it would be left.
    pub direction: Direction,
    /// The price that the next bar must close beyond.
    pub trigger: f64,
    /// By how much that changes from bar to bar.
    pub slope: f64,
    /// The price behind which it will have been wrong, should the next bar confirm it.
    pub stop: f64,
    /// The price that its height leads to, should the next bar confirm it.
    pub target: f64,
    /// Bars since it formed.
    pub waited: u32,
    /// Bars that may still confirm it, the next one among them.
    pub left: u32,
    /// Starts of the bars (µs) and prices of what draws it, oldest first.
    pub points: [(i64, f64); MOST_POINTS],
    /// How many there are.
    pub count: usize,
    /// See [`super::quality`]; of conditions that the confirming close is measured by there are none yet.
    pub margins: [f64; MOST_MARGINS],
}

impl Charts {
    /// What forms with the newest bar of `view`, with which `zigzag` and `atr` are. A figure that may be left on either side
    /// comes twice. O(1).
    pub fn forming<'a>(&'a self, view: View<'a>, zigzag: &'a Zigzag, atr: f64) -> impl Iterator<Item = Forming> + 'a {
        let index = self.index;
        let sides = [1.0, -1.0];
        let both = [Direction::Bullish, Direction::Bearish];
        let waiting = self.places.iter().flatten();
        let placed =
            waiting.flat_map(move |place| both.into_iter().filter_map(move |way| place.forming(way, index, zigzag)));
        let flags = self.flags.iter().zip(sides);
        let flags = flags.filter_map(move |(flag, sign)| flag.forming(view, zigzag, sign, index, atr));
        let turns = self.turns.iter().zip(sides);
        let turns = turns.filter_map(move |(turn, sign)| turn.forming(zigzag, sign, index, atr));
        placed.chain(flags).chain(turns)
    }
}

impl Place {
    /// The figure, if the next bar may confirm it this way.
    fn forming(&self, direction: Direction, index: u32, zigzag: &Zigzag) -> Option<Forming> {
        let Form { kind, upper, lower, clearance, height, stop, life, margins, .. } = self.form;
        let waited = index.saturating_sub(self.formed);
        let left = (life - f64::from(waited)).floor();
        let next = f64::from(index) + 1.0;
        let newer = zigzag.count().saturating_sub(self.newest);
        let is_forgotten = newer.saturating_add(self.form.oldest()) > PIVOTS_KEPT;
        if self.ended.is_some() || left < 1.0 || is_forgotten || upper.at(next) <= lower.at(next) {
            return None;
        }
        let sign = f64::from(direction as i8);
        let (line, other) = if self.form.breaks.allow(direction) {
            if sign > 0.0 { (upper, lower) } else { (lower, upper) }
        } else {
            return None;
        };
        let drawing = self.drawn(zigzag)?;
        Some(Forming {
            kind,
            direction,
            trigger: line.at(next) + sign * clearance,
            slope: line.slope(),
            stop: if stop.is_nan() { other.at(next) } else { stop },
            target: line.at(next) + sign * height,
            waited,
            left: left as u32,
            points: drawing.points,
            count: drawing.count,
            margins,
        })
    }
}
