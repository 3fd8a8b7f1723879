//! Which way the swings go, and closes beyond the last of them.

use serde::{Deserialize, Serialize};

use super::{Confirmed, Drawing, Kind, margins};
use crate::pattern::Direction;
use crate::study::Zigzag;
use crate::window::WindowBar;

/// The trend of the swings.
///
/// rule: two highs and two lows in a row, of which both newer ones are higher, make the trend rise (both lower: fall). That it
/// begins to is the event `HigherHighs` (`LowerLows`), at the bar that confirms the pivot. A close above the newest
/// confirmed high, once for each, is a break of structure if the trend rises and a change of character if it falls;
/// after a change of character the trend rises. Below the newest low: the mirror image. While there is no trend, nothing
/// is said. stop = the newest pivot of the other side; there is no target.
///
/// margins: of a trend high and low, how far each is beyond the one before it, in a; of a break how far the close is
/// beyond the swing, in a.
///
/// Source: Wyckoff (1910), Studies in Tape Reading, for the swings; BOS and `CHoCH` as traders of "smart money concepts"
/// use them.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Structure {
    /// 1 rises, −1 falls, 0 neither so far.
    trend: i8,
    /// Bar numbers of the newest high and of the newest low beyond which a bar has closed; one more than it, 0 for none.
    broken: [u32; 2],
    /// Of what the newest bar has begun, and of what it has broken.
    begun: [f64; 2],
    beyond: f64,
}

impl Structure {
    /// Takes in a bar; what it confirms. `zigzag`: with it. `is_pivot`: it has confirmed one.
    pub(super) fn push(&mut self, bar: &WindowBar, zigzag: &Zigzag, is_pivot: bool, atr: f64) -> [Option<Kind>; 2] {
        let mut begins = None;
        if is_pivot {
            let [one, other] = changes(zigzag).unwrap_or_default();
            let trend = i8::from(one > 0.0 && other > 0.0) - i8::from(one < 0.0 && other < 0.0);
            if trend != 0 && trend != self.trend {
                self.trend = trend;
                self.begun = [one, other].map(|change| change.abs() / atr);
                begins = Some(if trend > 0 { Kind::HigherHighs } else { Kind::LowerLows });
            }
        }
        let mut breaks = None;
        for (broken, sign) in self.broken.iter_mut().zip([1i8, -1]) {
            let Some(pivot) = zigzag.newest(sign > 0) else { continue };
            let name = pivot.at.index.saturating_add(1);
            let beyond = f64::from(sign) * (bar.close - pivot.at.price);
            if *broken != name && beyond > 0.0 {
                *broken = name;
                if self.trend != 0 {
                    self.beyond = beyond / atr;
                    breaks = Some(if self.trend == sign { Kind::BreakOfStructure } else { Kind::ChangeOfCharacter });
                    self.trend = sign;
                }
            }
        }
        [begins, breaks]
    }

    /// What it is, if the newest bar has confirmed it.
    pub(super) fn confirmed(&self, kind: Kind, bar: &WindowBar, zigzag: &Zigzag) -> Option<Confirmed> {
        let (high, low) = (zigzag.newest(true)?, zigzag.newest(false)?);
        let mut drawing = Drawing::default();
        let is_trend = matches!(kind, Kind::HigherHighs | Kind::LowerLows);
        let rises = if is_trend {
            for back in (0..4).rev() {
                drawing.push(&zigzag.pivot(back)?.at);
            }
            kind == Kind::HigherHighs
        } else {
            drawing.push(if self.trend > 0 { &high.at } else { &low.at });
            self.trend > 0
        };
        let stop = if rises { low.at.price } else { high.at.price };
        let first = drawing.first;
        let (points, count) = drawing.ended(bar);
        Some(Confirmed {
            direction: if rises { Direction::Bullish } else { Direction::Bearish },
            stop,
            target: f64::NAN,
            invalidation: stop,
            points,
            count,
            first,
            margins: if is_trend { margins(self.begun) } else { margins([self.beyond]) },
        })
    }
}

/// The newest pivot less the one before it on its side, and the same of the other side; `None` while there are fewer.
fn changes(zigzag: &Zigzag) -> Option<[f64; 2]> {
    let price = |back: u32| zigzag.pivot(back).map(|pivot| pivot.at.price);
    Some([price(0)? - price(2)?, price(1)? - price(3)?])
}
