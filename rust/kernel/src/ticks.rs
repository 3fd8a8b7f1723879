//! Messages to columns: the batch form of decoding, for notebooks and benchmarks.

use crate::decode::{BATCH, Decoder};
use crate::field::Field;
use crate::lanes::Lanes;
use crate::symbol::{SymbolId, Symbols};
use crate::tick::{Reason, Tick};

/// So many symbols find their place without a second look at those before them.
const USUAL_SYMBOLS: usize = 1_000;

/// Ticks in columns of one length, in arrival order.
///
/// Absent prices are NaN, absent stamps and numbers -1.
#[derive(Debug, Default)]
pub struct Ticks {
    /// The names behind the ids of `symbol`.
    pub symbols: Symbols,
    /// Ids, dense, in order of first appearance.
    pub symbol: Vec<i32>,
    /// `timestamp`, µs UTC.
    pub ts_us: Vec<i64>,
    /// `A`, `T` or `Q`.
    pub kind: Vec<u8>,
    /// `price`.
    pub price: Vec<f64>,
    /// `tick_volume`, else `volume`, else 0.
    pub volume: Vec<i64>,
    /// `tick_open`.
    pub open: Vec<f64>,
    /// `tick_high`.
    pub high: Vec<f64>,
    /// `tick_low`.
    pub low: Vec<f64>,
    /// `tick_close`.
    pub close: Vec<f64>,
    /// `tick_vwap`.
    pub vwap: Vec<f64>,
    /// `tick_start_timestamp`, µs UTC.
    pub start_us: Vec<i64>,
    /// `seq`.
    pub seq: Vec<i64>,
    /// How many ticks or messages were refused, by the reason's discriminant.
    pub refused: [u64; Reason::ALL.len()],
}

impl Ticks {
    /// Decodes messages; bad ones are counted.
    #[must_use]
    pub fn read(payloads: &[&[u8]]) -> Self {
        let mut ticks = Self { symbols: Symbols::with_capacity(payloads.len().min(USUAL_SYMBOLS)), ..Self::default() };
        ticks.reserve(payloads.len());
        let mut decoder = Decoder::default();
        for batch in payloads.chunks(BATCH) {
            if decoder.read(batch) {
                ticks.extend(batch, decoder.lanes());
            } else {
                decoder.hand_out(batch, &mut |_, tick, _| match tick {
                    Ok(tick) => ticks.push(&tick),
                    Err(reason) => ticks.refused[reason as usize] += 1,
                });
            }
        }
        ticks
    }

    fn reserve(&mut self, rows: usize) {
        self.symbol.reserve(rows);
        self.kind.reserve(rows);
        for column in [&mut self.ts_us, &mut self.volume, &mut self.start_us, &mut self.seq] {
            column.reserve(rows);
        }
        for column in [&mut self.price, &mut self.open, &mut self.high, &mut self.low, &mut self.close, &mut self.vwap]
        {
            column.reserve(rows);
        }
    }

    /// The ticks of a batch, all of them good, column by column.
    fn extend(&mut self, batch: &[&[u8]], lanes: &Lanes) {
        let rows = batch.len().min(BATCH);
        let mut ids = [0; BATCH];
        for lane in 0..rows {
            let (short, ticker) = (lanes.short_ticker(lane), || lanes.ticker(lane).raw(batch[lane]));
            ids[lane] = id_of(match short {
                Some(short) => self.symbols.intern_short(short, ticker, usize::MAX),
                None => self.symbols.intern(ticker(), usize::MAX),
            });
        }
        append(&mut self.symbol, &ids, rows);
        append(&mut self.ts_us, lanes.ts_us(), rows);
        append(&mut self.kind, &lanes.kinds(), rows);
        append(&mut self.price, lanes.numbers(Field::Price), rows);
        append(&mut self.open, lanes.numbers(Field::Open), rows);
        append(&mut self.high, lanes.numbers(Field::High), rows);
        append(&mut self.low, lanes.numbers(Field::Low), rows);
        append(&mut self.close, lanes.numbers(Field::Close), rows);
        append(&mut self.vwap, lanes.numbers(Field::Vwap), rows);
        append(&mut self.volume, &lanes.volumes(), rows);
        append(&mut self.start_us, &[-1; BATCH], rows);
        append(&mut self.seq, &lanes.seqs(), rows);
    }

    fn push(&mut self, tick: &Tick<'_>) {
        let or_nan = |price: Option<f64>| price.unwrap_or(f64::NAN);
        self.symbol.push(id_of(self.symbols.intern(tick.ticker, usize::MAX)));
        self.ts_us.push(tick.ts_us);
        self.kind.push(tick.kind.letter());
        self.price.push(tick.price);
        self.volume.push(tick.volume);
        self.open.push(or_nan(tick.open));
        self.high.push(or_nan(tick.high));
        self.low.push(or_nan(tick.low));
        self.close.push(or_nan(tick.close));
        self.vwap.push(or_nan(tick.vwap));
        self.start_us.push(tick.start_us.unwrap_or(-1));
        self.seq.push(tick.seq.unwrap_or(-1));
    }
}

/// The first so many `cells` behind those of the column. All of them are a copy of known size, which is no call.
#[inline]
fn append<T: Copy>(column: &mut Vec<T>, cells: &[T; BATCH], rows: usize) {
    if rows == BATCH {
        column.extend_from_slice(cells);
    } else {
        column.extend_from_slice(&cells[..rows]);
    }
}

/// Without a cap only a ticker that is too long or no UTF-8 has no id, and such a message is refused before.
#[inline]
fn id_of(id: Option<SymbolId>) -> i32 {
    id.map_or(-1, |SymbolId(id)| id as i32)
}
