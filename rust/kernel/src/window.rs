//! The rolling window of one symbol's closed bars.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bar::{Bar, quality};
use crate::snapshot::FEW;

/// Slots beyond the window's length, so that as many of the newest bars can be taken back and pushed again.
///
/// A late tick revises a closed bar of the last 15 minutes: the bars since are taken back, folded anew and pushed
/// again, and the window must then show what it would have shown had the tick been in time; so must what is carried
/// beside it, from a mark that lies as many bars before them (`Trail`).
pub const SPARE: usize = 36;

/// Bars whose mean volume patterns measure a bar against; the sum of so many is carried.
pub const VOLUME_BARS: usize = 20;
const _: () = assert!(SPARE > VOLUME_BARS, "what leaves the sum is still held");

/// A bit of [`WindowBar::quality`] that no row has: the bar is the first of its session in the window.
const OPENS_SESSION: u8 = 1 << 7;

/// One closed bar, as detectors see it.
///
/// Prices in the currency of the feed; `ts_us` is the START of the bar, µs UTC; `quality` holds the bar's flags.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowBar {
    /// Start of the bar, µs UTC.
    pub ts_us: i64,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Shares.
    pub volume: i64,
    /// Bits of [`quality`]; 0 is a whole bar.
    pub quality: u8,
}

impl From<Bar> for WindowBar {
    fn from(bar: Bar) -> Self {
        Self {
            ts_us: bar.ts_us,
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            volume: bar.volume,
            quality: bar.quality,
        }
    }
}

impl WindowBar {
    /// B = |c − o|.
    #[must_use]
    pub fn body(&self) -> f64 {
        (self.close - self.open).abs()
    }

    /// R = h − l.
    #[must_use]
    pub fn range(&self) -> f64 {
        self.high - self.low
    }

    /// U = h − max(o, c), the upper shadow.
    #[must_use]
    pub fn upper(&self) -> f64 {
        self.high - self.top()
    }

    /// L = min(o, c) − l, the lower shadow.
    #[must_use]
    pub fn lower(&self) -> f64 {
        self.bottom() - self.low
    }

    /// max(o, c), the upper end of the body.
    #[must_use]
    pub fn top(&self) -> f64 {
        self.open.max(self.close)
    }

    /// min(o, c), the lower end of the body.
    #[must_use]
    pub fn bottom(&self) -> f64 {
        self.open.min(self.close)
    }

    /// c > o. A bar that closes where it opened has no colour.
    #[must_use]
    pub fn is_bullish(&self) -> bool {
        self.close > self.open
    }

    /// c < o.
    #[must_use]
    pub fn is_bearish(&self) -> bool {
        self.close < self.open
    }

    /// Whether it is the first bar of its session in the window.
    #[must_use]
    pub fn opens_session(&self) -> bool {
        self.quality & OPENS_SESSION != 0
    }

    /// The same bar, which is the first of its session or is not.
    #[must_use]
    pub(crate) fn opening(self, is_first: bool) -> Self {
        let quality = if is_first { self.quality | OPENS_SESSION } else { self.quality & !OPENS_SESSION };
        Self { quality, ..self }
    }

    /// Whether every tick of the bar can have been heard. Nothing is detected on a bar that is not complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.quality & quality::PARTIAL == 0
    }
}

/// The last N bars of one symbol, with [`SPARE`] older ones kept to step back to.
///
/// Allocates once. Push, rewind and look-up are O(1).
///
/// A minute closes thousands of symbols whose windows have left the cache: what is read together lies together, the
/// four prices of a bar side by side, the volumes in a row.
#[derive(Clone, Debug)]
pub struct Window {
    ts_us: Box<[i64]>,
    /// Open, high, low, close.
    prices: Box<[[f64; 4]]>,
    volume: Box<[i64]>,
    quality: Box<[u8]>,
    /// Σ volume of the newest 20 bars, or of those there are. In integers: the order does not matter.
    traded: i128,
    /// N.
    bars: usize,
    /// Slot of the next bar.
    next: usize,
    /// Slots that hold a bar that is not taken back; at most `bars + SPARE`.
    held: usize,
    /// Bars pushed and not taken back since the start, those no longer held included.
    pushed: usize,
}

impl Window {
    /// An empty window over the last `bars` bars; a window of 0 bars stays empty.
    #[must_use]
    pub fn new(bars: usize) -> Self {
        let slots = bars + SPARE;
        Self {
            ts_us: vec![0; slots].into(),
            prices: vec![[0.0; 4]; slots].into(),
            volume: vec![0; slots].into(),
            quality: vec![0; slots].into(),
            traded: 0,
            bars,
            next: 0,
            held: 0,
            pushed: 0,
        }
    }

    /// Make `bar` the newest; the oldest leaves the window once N are in it.
    pub fn push(&mut self, bar: WindowBar) {
        let at = self.next;
        self.ts_us[at] = bar.ts_us;
        self.prices[at] = [bar.open, bar.high, bar.low, bar.close];
        self.volume[at] = bar.volume;
        self.quality[at] = bar.quality;
        self.next = if at + 1 == self.slots() { 0 } else { at + 1 };
        self.held = self.slots().min(self.held + 1);
        self.pushed += 1;
        let leaving = if self.held > VOLUME_BARS { self.volume[self.slot(VOLUME_BARS + 1)] } else { 0 };
        self.traded += i128::from(bar.volume) - i128::from(leaving);
    }

    /// Take back the newest `k` bars: the window is what it was before they were pushed.
    ///
    /// False, and nothing changed, if fewer were pushed, or if a bar that would come back into sight is no longer
    /// held. Up to [`SPARE`] bars can always be taken back, if that many were pushed since the last rewind.
    pub fn rewind(&mut self, k: usize) -> bool {
        if !self.can_rewind(k) {
            return false;
        }
        self.next = self.slot(k);
        self.held -= k;
        self.pushed -= k;
        self.traded = self.sum_of_volumes(0, VOLUME_BARS.min(self.held));
        true
    }

    /// Whether the newest `k` bars can be taken back.
    fn can_rewind(&self, k: usize) -> bool {
        k <= self.held && self.held - k >= self.bars.min(self.pushed - k)
    }

    /// The same bars in a window of another length, as if that had been pushed what this was.
    ///
    /// `None` if it would hold another number of them, or if the newest `back` could not be taken back.
    pub(crate) fn resized(&self, bars: usize, back: usize) -> Option<Self> {
        let mut window = Self::new(bars);
        if self.held > window.slots() || !(self.held..=FEW as usize).contains(&self.pushed) {
            return None;
        }
        for back in (1..=self.held).rev() {
            window.push(self.at(self.slot(back)));
        }
        window.pushed = self.pushed;
        window.can_rewind(back).then_some(window)
    }

    /// Bars in the window, at most N.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.min(self.bars)
    }

    /// Whether no bar is in the window.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// N, the length of a full window.
    #[must_use]
    pub fn bars(&self) -> usize {
        self.bars
    }

    /// The bar `back` bars before the newest; 0 is the newest. `None` before the window's oldest.
    // Every detector asks for a handful of bars: calls cost more than what they fetch, and inlined, a detector that
    // looks at prices alone reads no other column.
    #[allow(clippy::inline_always, reason = "measured: 3 ms of a minute boundary of 10,000 symbols")]
    #[inline(always)]
    #[must_use]
    pub fn bar(&self, back: usize) -> Option<WindowBar> {
        (back < self.len()).then(|| self.at(self.slot(back + 1)))
    }

    /// The bars as they stand.
    #[inline]
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View { window: self, skip: 0 }
    }

    /// Mean volume of the `n` bars before the newest `skip`, in shares.
    ///
    /// `None` for `n` = 0 and until there are that many bars. Summed in integers, so the order does not matter.
    /// O(1) for the 20 bars before the newest, which is what patterns ask for; O(n) for others.
    #[must_use]
    pub fn mean_volume(&self, skip: usize, n: usize) -> Option<f64> {
        if n == 0 || skip.checked_add(n)? > self.len() {
            return None;
        }
        let sum = if (skip, n) == (1, VOLUME_BARS) {
            let [newest, oldest] = [1, VOLUME_BARS + 1].map(|back| i128::from(self.volume[self.slot(back)]));
            self.traded - newest + oldest
        } else {
            self.sum_of_volumes(skip, n)
        };
        // The processor converts 64 bits in one instruction, 128 in a call.
        let sum = i64::try_from(sum).map_or_else(|_| sum as f64, |sum| sum as f64);
        Some(sum / n as f64)
    }

    /// Of the `n` bars before the newest `skip`; they are held.
    fn sum_of_volumes(&self, skip: usize, n: usize) -> i128 {
        let (from, to) = (self.slot(skip + n), self.slot(skip));
        let (older, newer) = if from < to || n == 0 {
            (&self.volume[from..to], &[][..])
        } else {
            (&self.volume[from..], &self.volume[..to])
        };
        older.iter().chain(newer).map(|&volume| i128::from(volume)).sum()
    }

    /// The window's bars, oldest first.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = WindowBar> + ExactSizeIterator {
        (0..self.len()).rev().map(|back| self.at(self.slot(back + 1)))
    }

    /// Reads a word of each line that pushing a bar and looking for patterns on it will read; see `History::touch`.
    pub(crate) fn touch(&self) -> u64 {
        // Older slots than a young window holds are read too: they are there, and nothing is made of them.
        let prices = [0, 1, 3].map(|back| self.prices[self.slot(back)][0].to_bits());
        let volumes = [0, VOLUME_BARS].map(|back| self.volume[self.slot(back)] as u64);
        let words = prices.into_iter().chain(volumes).chain([0, 15].map(|back| self.ts_us[self.slot(back)] as u64));
        words.fold(u64::from(self.quality[self.next]), std::ops::BitXor::bitxor)
    }

    /// The same for a study: ten closes, and what leaves averages of 50 and 200.
    pub(crate) fn touch_far(&self) -> u64 {
        let price = |back: usize| self.prices[self.slot(back.min(self.slots()))][0].to_bits();
        [5, 7, 9, 50, 200].into_iter().fold(0, |bits, back| bits ^ price(back))
    }

    /// The bar `back` bars before the newest, also behind the window's oldest while it is held.
    #[allow(clippy::inline_always, reason = "as `bar`")]
    #[inline(always)]
    fn held(&self, back: usize) -> Option<WindowBar> {
        (back < self.held).then(|| self.at(self.slot(back + 1)))
    }

    fn slots(&self) -> usize {
        self.bars + SPARE
    }

    /// The slot `back` slots before the next one; `back` is at most the number of slots.
    #[inline]
    fn slot(&self, back: usize) -> usize {
        if back <= self.next { self.next - back } else { self.next + self.slots() - back }
    }

    #[inline]
    fn at(&self, slot: usize) -> WindowBar {
        let [open, high, low, close] = self.prices[slot];
        WindowBar {
            ts_us: self.ts_us[slot],
            open,
            high,
            low,
            close,
            volume: self.volume[slot],
            quality: self.quality[slot],
        }
    }
}

/// Bars pushed, and those that are held, oldest first: where they lie is of no consequence.
impl Serialize for Window {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let held: Vec<WindowBar> = (1..=self.held).rev().map(|back| self.at(self.slot(back))).collect();
        (self.pushed, held).serialize(to)
    }
}

/// As long as what it holds; see [`Window::resized`].
impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (pushed, held) = <(usize, Vec<WindowBar>)>::deserialize(from)?;
        let mut window = Self::new(held.len());
        for bar in held {
            window.push(bar);
        }
        Ok(Self { pushed, ..window })
    }
}

/// A window as it was before its newest bars were pushed; up to [`SPARE`] back nothing of it is missing.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    window: &'a Window,
    skip: usize,
}

impl View<'_> {
    /// The same, `bars` earlier.
    #[inline]
    #[must_use]
    pub fn before(self, bars: usize) -> Self {
        Self { skip: self.skip + bars, ..self }
    }

    /// N, the length of the full window.
    #[must_use]
    pub fn bars(&self) -> usize {
        self.window.bars
    }

    /// Bars that the window had.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.window.held.saturating_sub(self.skip).min(self.window.bars)
    }

    /// Whether it had none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bar `back` bars before its newest, as long as it is held.
    #[allow(clippy::inline_always, reason = "as `Window::bar`")]
    #[inline(always)]
    #[must_use]
    pub fn bar(&self, back: usize) -> Option<WindowBar> {
        self.window.held(self.skip + back)
    }

    /// [`Window::mean_volume`], for the window as it stands.
    #[must_use]
    pub fn mean_volume(&self, skip: usize, n: usize) -> Option<f64> {
        self.window.mean_volume(self.skip + skip, n)
    }
}
