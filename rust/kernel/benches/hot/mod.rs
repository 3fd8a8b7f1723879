//! The three hottest kernels on seeded input: what `cargo bench` times and `make bench ARGS="instructions"` counts.
//!
//! Each `run` says what it found, so that a kernel that stops working is no faster one.

use tickstockpl_kernel::batch::aggregate;
use tickstockpl_kernel::candle::talib::Hits;
use tickstockpl_kernel::candle::talib::stream::CandlestickStream;
use tickstockpl_kernel::ticks::Ticks;

const MINUTE_US: i64 = 60_000_000;
/// 2025-10-13 13:30 UTC.
const START_US: i64 = 1_760_362_200_000_000;

/// Steele and Vigna's `splitmix64`: small, and the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// Whole cents at or above `least`, as a price.
    fn dollars(&mut self, least: u64, spread: u64) -> f64 {
        (least + self.below(spread)) as f64 / 100.0
    }
}

/// A kernel with its input.
pub(crate) trait Hot {
    /// Messages, trades or bars a run.
    fn work(&self) -> usize;

    /// One run; what it found, as a count.
    fn run(&mut self) -> usize;
}

/// Messages in the producer's key order to columns.
pub(crate) struct Decode(Vec<Vec<u8>>);

impl Decode {
    pub(crate) fn new() -> Self {
        let mut random = Random(1);
        let message = |n: u64| {
            let (low, volume) = (10_000 + random.below(5_000), 1 + random.below(3_000));
            let (open, high) = (low + random.below(9), low + 9 + random.below(9));
            let [close, vwap_e4] = [low + random.below(9), 100 * low + random.below(900)];
            let stamp_s = START_US / 1_000_000 + 1 + n as i64 / 500;
            let [open, high, low, close] = [open, high, low, close].map(|cents| cents as f64 / 100.0);
            format!(
                "{{\"ticker\": \"ZZTEST{}\", \"price\": {close:?}, \"volume\": {volume}, \"timestamp\": {stamp_s}.0, \
                 \"event_type\": \"A\", \"source\": \"polygon\", \"tick_open\": {open:?}, \"tick_high\": {high:?}, \
                 \"tick_low\": {low:?}, \"tick_close\": {close:?}, \"tick_volume\": {volume}, \"tick_vwap\": {:?}, \
                 \"bid\": null, \"ask\": null}}",
                n % 500 + 1,
                vwap_e4 as f64 / 10_000.0,
            )
            .into_bytes()
        };
        Self((0..5_000).map(message).collect())
    }
}

impl Hot for Decode {
    fn work(&self) -> usize {
        self.0.len()
    }

    /// Ticks with a symbol and a price.
    fn run(&mut self) -> usize {
        let payloads: Vec<&[u8]> = self.0.iter().map(Vec::as_slice).collect();
        let ticks = Ticks::read(&payloads);
        assert_eq!(ticks.refused.iter().sum::<u64>(), 0, "all messages are good");
        assert_eq!(ticks.symbols.len(), 500, "every symbol is met");
        ticks.price.len()
    }
}

/// Columns of trades, 1,000 symbols interleaved, 60 trades a bar, to bars.
pub(crate) struct Bars {
    ts_us: Vec<i64>,
    price: Vec<f64>,
    size: Vec<i64>,
    symbol: Vec<i32>,
}

impl Bars {
    const SYMBOLS: usize = 1_000;

    pub(crate) fn new() -> Self {
        let (rows, mut random) = (300 * Self::SYMBOLS, Random(1));
        let mut symbol: Vec<i32> = (0..rows).map(|n| (n % Self::SYMBOLS) as i32).collect();
        for second in symbol.chunks_mut(Self::SYMBOLS) {
            for at in (1..second.len()).rev() {
                second.swap(at, random.below(at as u64 + 1) as usize);
            }
        }
        Self {
            ts_us: (0..rows as i64).map(|n| START_US + 1_000 * n).collect(),
            price: (0..rows).map(|_| random.dollars(10_000, 500)).collect(),
            size: (0..rows).map(|_| 1 + random.below(500) as i64).collect(),
            symbol,
        }
    }
}

impl Hot for Bars {
    fn work(&self) -> usize {
        self.ts_us.len()
    }

    /// Trades in bars.
    fn run(&mut self) -> usize {
        let bars =
            aggregate(&self.ts_us, &self.price, &self.size, Some(&self.symbol), MINUTE_US).expect("good columns");
        assert_eq!(bars.len(), self.ts_us.len() / 60, "a bar a symbol and minute");
        bars.iter().map(|bar| bar.trades as usize).sum()
    }
}

/// Bars of 1,000 symbols, a minute a call, through the 61 candlestick functions.
pub(crate) struct Candlesticks {
    stream: CandlestickStream,
    /// Open, high, low and close of every minute.
    minutes: Vec<[Vec<f64>; 4]>,
    found: Vec<Hits>,
}

impl Candlesticks {
    const SYMBOLS: usize = 1_000;

    pub(crate) fn new() -> Self {
        let mut random = Random(1);
        let mut last = vec![10_000; Self::SYMBOLS];
        let mut minute = || {
            let mut columns = [(); 4].map(|()| Vec::with_capacity(Self::SYMBOLS));
            for close in &mut last {
                let open = *close + random.below(3) - 1;
                *close = open + random.below(13) - 6;
                let high = open.max(*close) + random.below(5);
                let low = open.min(*close) - random.below(5);
                for (column, cents) in columns.iter_mut().zip([open, high, low, *close]) {
                    column.push(cents as f64 / 100.0);
                }
            }
            columns
        };
        let warm: Vec<_> = (0..40).map(|_| minute()).collect();
        let minutes = (0..20).map(|_| minute()).collect();
        let (stream, found) = (CandlestickStream::new(Self::SYMBOLS), vec![Hits::default(); Self::SYMBOLS]);
        let mut made = Self { stream, minutes: warm, found };
        made.run();
        Self { minutes, ..made }
    }
}

impl Hot for Candlesticks {
    fn work(&self) -> usize {
        self.minutes.len() * Self::SYMBOLS
    }

    /// Functions that hit.
    fn run(&mut self) -> usize {
        let mut hits = 0;
        for [open, high, low, close] in &self.minutes {
            self.stream.update([open, high, low, close], &mut self.found).expect("good bars");
            hits += self.found.iter().map(|each| each.hit.count_ones() as usize).sum::<usize>();
        }
        hits
    }
}
