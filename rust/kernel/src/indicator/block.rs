//! Eight symbols side by side: their last bars and what each indicator remembers of them.

use super::adx::{AdxState, Move};
use super::atr::AtrState;
use super::ema::EmaState;
use super::macd::MacdState;
use super::obv::{Obv, ObvState};
use super::rsi::RsiState;
use super::stochastic::Total;
use super::stream::Kernels;
use super::stream::column::{
    ADX, ATR, EMA_FAST, EMA_SLOW, MACD, MACD_HISTOGRAM, MACD_SIGNAL, MINUS_DI, OBV, PLUS_DI, RSI,
};
use crate::pack::{ALL, Mask, NONE, Pack, Real};
use crate::rolling::RollingSum;

/// The last values of eight symbols side by side, the newest of each in the same slot, whenever it came.
#[derive(Clone, Debug)]
struct Ring {
    slots: Vec<Pack>,
    /// Slot of the next value, and of the oldest.
    next: usize,
}

impl Ring {
    /// Of the last `slots` values, which are 0 at first.
    fn new(slots: usize) -> Self {
        Self { slots: vec![Pack::all(0.0); slots], next: 0 }
    }

    /// Make `x` the newest in the lanes of the mask; the others are turned by a slot, so that all stay abreast.
    #[inline(always)]
    fn push(&mut self, has: Mask, x: Pack) {
        if has != ALL {
            self.turn(has);
        }
        let at = self.next;
        self.slots[at] = Pack::pick(has, x, self.slots[at]);
        self.next = if at + 1 == self.slots.len() { 0 } else { at + 1 };
    }

    /// Move every value of the lanes outside of the mask to the slot after its own.
    #[inline(always)]
    fn turn(&mut self, stay: Mask) {
        let mut moved = self.slots[self.slots.len() - 1];
        for slot in &mut self.slots {
            let own = *slot;
            *slot = Pack::pick(stay, own, moved);
            moved = own;
        }
    }

    /// The value `k` before the newest.
    #[inline(always)]
    fn back(&self, k: usize) -> Pack {
        let slots = self.slots.len();
        let at = self.next + slots - 1 - k;
        self.slots[if at >= slots { at - slots } else { at }]
    }

    /// The newest `n` values by their place among them, 0 being the oldest.
    #[inline(always)]
    fn window(&self, n: usize) -> impl Fn(usize) -> Pack {
        let slots = &self.slots[..];
        let from = if n <= self.next { self.next - n } else { self.next + slots.len() - n };
        move |k| slots[if from + k >= slots.len() { from + k - slots.len() } else { from + k }]
    }
}

/// One bar of eight symbols.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bars {
    pub(super) high: Pack,
    pub(super) low: Pack,
    pub(super) close: Pack,
    pub(super) volume: Pack,
}

/// One bar of a block, and what the indicators need to know beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// Lanes that have a bar.
    pub(super) has: Mask,
    /// Lanes that have one and have seen enough for every step in steady state.
    pub(super) warm: Mask,
    /// Bars seen before this one; NaN in lanes without one.
    seen: Pack,
    bars: Bars,
    /// High, low and close of the bar before; anything at a lane's first one.
    previous: [Pack; 3],
    /// σ of the closes of the bands' window.
    sigma: Pack,
    /// Highest high and lowest low of the stochastic's window.
    extremes: [Pack; 2],
}

impl Turn {
    /// Lanes with a bar that have seen at least `lookback` before it.
    #[inline(always)]
    fn after(&self, lookback: usize) -> Mask {
        self.seen.above(Pack::all(lookback as f64 - 0.5))
    }

    /// A value of a step in steady state, where there is one.
    #[inline(always)]
    fn shown(&self, value: Pack) -> Pack {
        Pack::pick(self.warm, value, Pack::all(f64::NAN))
    }
}

/// The state of eight symbols; a symbol's lane depends on its own bars alone.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Bars seen, a lane: whole numbers.
    seen: Pack,
    closes: Ring,
    highs: Ring,
    lows: Ring,
    raw_k: Ring,
    slow_k: Ring,
    sma: RollingSum<Pack>,
    middle: RollingSum<Pack>,
    k_total: Total<Pack>,
    d_total: Total<Pack>,
    fast: EmaState<Pack>,
    slow: EmaState<Pack>,
    rsi: RsiState<Pack>,
    macd: MacdState<Pack>,
    atr: AtrState<Pack>,
    adx: AdxState<Pack>,
    obv: ObvState<Pack>,
}

impl Block {
    pub(super) fn new(kernels: &Kernels) -> Self {
        let [k, slow_k, slow_d] = kernels.stochastic.periods();
        let closes = kernels.sma.period().max(kernels.bollinger.middle().period()) + 1;
        Self {
            seen: Pack::all(0.0),
            closes: Ring::new(closes.max(2)),
            highs: Ring::new(k.max(2)),
            lows: Ring::new(k.max(2)),
            raw_k: Ring::new(slow_k),
            slow_k: Ring::new(slow_d),
            sma: RollingSum::default(),
            middle: RollingSum::default(),
            k_total: Total::default(),
            d_total: Total::default(),
            fast: EmaState::default(),
            slow: EmaState::default(),
            rsi: RsiState::default(),
            macd: MacdState::default(),
            atr: AtrState::default(),
            adx: AdxState::default(),
            obv: ObvState::default(),
        }
    }

    /// Takes a bar of each lane whose close is a number into the windows.
    #[inline(always)]
    pub(super) fn begin(&mut self, kernels: &Kernels, bars: Bars) -> Turn {
        let has = bars.close.equals(bars.close);
        let nan = Pack::all(f64::NAN);
        let mut turn = Turn { has, warm: NONE, seen: nan, bars, previous: [nan; 3], sigma: nan, extremes: [nan; 2] };
        if has != NONE {
            turn.previous = [self.highs.back(0), self.lows.back(0), self.closes.back(0)];
            self.closes.push(has, bars.close);
            self.highs.push(has, bars.high);
            self.lows.push(has, bars.low);
            // NaN, which is above nothing, where there is no bar
            turn.seen = Pack::pick(has, self.seen, nan);
            turn.warm = turn.after(kernels.warm);
            self.seen = Pack::pick(has, self.seen + Pack::all(1.0), self.seen);
        }
        turn
    }

    /// What is looked for in whole windows; by itself, as only a short body becomes vectors.
    #[inline(always)]
    pub(super) fn scan(&self, kernels: &Kernels, turn: &mut Turn) {
        turn.sigma = kernels.bollinger.sigma(self.closes.window(kernels.bollinger.middle().period()));
        let [k, ..] = kernels.stochastic.periods();
        turn.extremes = kernels.stochastic.extremes(self.highs.window(k), self.lows.window(k));
    }

    /// SMA, upper, middle and lower band. Sums begin at 0, so that warm-up needs no way of its own.
    #[inline(always)]
    pub(super) fn bands(&mut self, kernels: &Kernels, turn: &Turn) -> [Pack; 4] {
        let nan = Pack::all(f64::NAN);
        let (closes, close) = (&self.closes, turn.bars.close);
        let sma = kernels.sma.step(&mut self.sma, turn.has, close, closes.back(kernels.sma.period()));
        let mean = kernels.bollinger.middle();
        let middle = mean.step(&mut self.middle, turn.has, close, closes.back(mean.period()));
        let bands = kernels.bollinger.around(middle, turn.sigma);
        let banded = turn.after(mean.lookback());
        [
            Pack::pick(turn.after(kernels.sma.lookback()), sma, nan),
            Pack::pick(banded, bands.upper, nan),
            Pack::pick(banded, bands.middle, nan),
            Pack::pick(banded, bands.lower, nan),
        ]
    }

    /// %K and %D, likewise.
    #[inline(always)]
    pub(super) fn stochastic(&mut self, kernels: &Kernels, turn: &Turn) -> [Pack; 2] {
        let (nan, zero) = (Pack::all(f64::NAN), Pack::all(0.0));
        let [k, slow_k, slow_d] = kernels.stochastic.periods();
        let [top, bottom] = turn.extremes;
        let raw = kernels.stochastic.within(turn.bars.close, top, bottom, Pack::all(0.0));
        let raw = Pack::pick(turn.after(k - 1), raw, zero);
        self.raw_k.push(turn.has, raw);
        let k_line = self.k_total.step(turn.has, raw, self.raw_k.back(slow_k - 1), slow_k);
        let k_line = Pack::pick(turn.after(k + slow_k - 2), k_line, zero);
        self.slow_k.push(turn.has, k_line);
        let d_line = self.d_total.step(turn.has, k_line, self.slow_k.back(slow_d - 1), slow_d);
        let smoothed = turn.after(kernels.stochastic.lookback());
        [Pack::pick(smoothed, k_line, nan), Pack::pick(smoothed, d_line, nan)]
    }

    /// Both EMA, in the lanes whose warm-up is over.
    #[inline(always)]
    pub(super) fn averages(&mut self, kernels: &Kernels, turn: &Turn) -> [Pack; 2] {
        let close = turn.bars.close;
        [
            turn.shown(kernels.fast.step(&mut self.fast, turn.warm, close)),
            turn.shown(kernels.slow.step(&mut self.slow, turn.warm, close)),
        ]
    }

    /// MACD, its signal and histogram, likewise.
    #[inline(always)]
    pub(super) fn macd(&mut self, kernels: &Kernels, turn: &Turn) -> [Pack; 3] {
        let value = kernels.macd.step(&mut self.macd, turn.warm, turn.bars.close);
        [turn.shown(value.line), turn.shown(value.signal), turn.shown(value.histogram)]
    }

    /// RSI, likewise.
    #[inline(always)]
    pub(super) fn rsi(&mut self, kernels: &Kernels, turn: &Turn) -> [Pack; 1] {
        let [.., previous] = turn.previous;
        [turn.shown(kernels.rsi.step(&mut self.rsi, turn.warm, turn.bars.close, previous))]
    }

    /// ATR and OBV, likewise.
    #[inline(always)]
    pub(super) fn range_and_balance(&mut self, kernels: &Kernels, turn: &Turn) -> [Pack; 2] {
        let (Bars { high, low, close, volume }, [.., previous]) = (turn.bars, turn.previous);
        [
            turn.shown(kernels.atr.step(&mut self.atr, turn.warm, high, low, previous)),
            turn.shown(Obv.step(&mut self.obv, turn.warm, close, previous, volume)),
        ]
    }

    /// ADX, +DI and −DI, likewise.
    #[inline(always)]
    pub(super) fn directional(&mut self, kernels: &Kernels, turn: &Turn) -> [Pack; 3] {
        let [previous_high, previous_low, previous_close] = turn.previous;
        let Bars { high, low, .. } = turn.bars;
        let bar = Move { high, low, previous_high, previous_low, previous_close };
        let value = kernels.adx.step(&mut self.adx, turn.warm, bar);
        [turn.shown(value.adx), turn.shown(value.plus), turn.shown(value.minus)]
    }

    /// What remembers all bars, of one lane that is still warming up: its columns and their values.
    pub(super) fn warming(&mut self, kernels: &Kernels, lane: usize, turn: &Turn) -> [(usize, f64); 11] {
        let seen = turn.seen.0[lane] as usize;
        let bars = turn.bars;
        let [high, low, close, volume] = [bars.high, bars.low, bars.close, bars.volume].map(|column| column.0[lane]);
        let [previous_high, previous_low, previous_close] = turn.previous.map(|column| column.0[lane]);
        macro_rules! advance {
            ($state:ident, $kernel:expr, $($given:expr),*) => {{
                let mut state = self.$state.lane(lane);
                let value = $kernel.advance(&mut state, seen, $($given),*);
                self.$state.set_lane(lane, state);
                value
            }};
        }
        let macd = advance!(macd, kernels.macd, close);
        let adx = advance!(adx, kernels.adx, Move { high, low, previous_high, previous_low, previous_close });
        [
            (EMA_FAST, advance!(fast, kernels.fast, close)),
            (EMA_SLOW, advance!(slow, kernels.slow, close)),
            (RSI, advance!(rsi, kernels.rsi, close, previous_close)),
            (MACD, macd.line),
            (MACD_SIGNAL, macd.signal),
            (MACD_HISTOGRAM, macd.histogram),
            (ATR, advance!(atr, kernels.atr, high, low, previous_close)),
            (ADX, adx.adx),
            (PLUS_DI, adx.plus),
            (MINUS_DI, adx.minus),
            (OBV, advance!(obv, Obv, close, previous_close, volume)),
        ]
    }

    /// Shows every number of the state, always in the same order.
    pub(super) fn visit(&mut self, see: &mut impl FnMut(&mut Pack)) {
        see(&mut self.seen);
        for ring in [&mut self.closes, &mut self.highs, &mut self.lows, &mut self.raw_k, &mut self.slow_k] {
            // Where it stands is no part of what it holds: turned to its start, equal states are equal bytes.
            ring.slots.rotate_left(std::mem::take(&mut ring.next));
            ring.slots.iter_mut().for_each(&mut *see);
        }
        self.sma.visit(see);
        self.middle.visit(see);
        self.k_total.visit(see);
        self.d_total.visit(see);
        self.fast.visit(see);
        self.slow.visit(see);
        self.rsi.visit(see);
        self.macd.visit(see);
        self.atr.visit(see);
        self.adx.visit(see);
        self.obv.visit(see);
    }
}
