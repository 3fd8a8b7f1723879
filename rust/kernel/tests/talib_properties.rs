//! Batch, stream, one symbol alone and restored states are one: the same bars, the same answers, bit for bit.

use proptest::prelude::*;
use tickstockpl_kernel::candle::talib::block::Block;
use tickstockpl_kernel::candle::talib::stream::CandlestickStream;
use tickstockpl_kernel::candle::talib::{COUNT, Hits, batch};

type Bar = [f64; 4];

const NO_BAR: Bar = [f64::NAN; 4];

/// Bars of few units, so that ties and coincidences are the rule.
fn series(longest: usize) -> impl Strategy<Value = Vec<Bar>> {
    let unit = prop::sample::select(vec![0.01, 0.0001, 1.0, 0.3, 12.5]);
    let moves = (-6_i32..=6, -9_i32..=9, 0_i32..=9, 0_i32..=9, 0_i32..=9);
    (unit, prop::collection::vec(moves, 0..longest)).prop_map(|(unit, moves)| {
        let mut end = 5_000;
        let bar = |(jump, body, up, down, calm): (i32, i32, i32, i32, i32)| {
            let (open, body) = (end + jump / (1 + calm), body / (1 + calm % 3));
            end = open + body;
            [open, open.max(end) + up / (1 + calm), open.min(end) - down / (1 + calm), end]
                .map(|units| f64::from(units) * unit)
        };
        moves.into_iter().map(bar).collect()
    })
}

fn columns(bars: &[Bar]) -> [Vec<f64>; 4] {
    [0, 1, 2, 3].map(|field: usize| bars.iter().map(|bar| bar[field]).collect())
}

/// The columns that answer something else than 0, with their values, a bar each.
fn by_batch(bars: &[Bar]) -> Vec<Vec<(usize, i32)>> {
    let (columns, wanted) = (columns(bars), (0..COUNT).collect::<Vec<_>>());
    let mut cells = vec![0; COUNT * bars.len()];
    batch::fill(columns.each_ref().map(Vec::as_slice), &wanted, &mut cells).expect("bars");
    let value = |column: usize, row: usize| (column, cells[column * bars.len() + row]);
    let values =
        |row: usize| wanted.iter().map(|column| value(*column, row)).filter(|(_, value)| *value != 0).collect();
    (0..bars.len()).map(values).collect()
}

fn minute(stream: &mut CandlestickStream, bars: &[Bar]) -> Vec<Hits> {
    let mut found = vec![Hits::default(); bars.len()];
    let columns = columns(bars);
    stream.update(columns.each_ref().map(Vec::as_slice), &mut found).expect("bars");
    found
}

/// Hits as values: bits of `bearish` and `other` mean nothing without the same of `hit`.
fn values(hits: Hits) -> Vec<(usize, i32)> {
    hits.values().collect()
}

proptest! {
    #[test]
    fn one_symbol_alone_equals_batch(bars in series(300)) {
        let mut alone = Block::<1>::default();
        for (bar, expected) in bars.iter().zip(by_batch(&bars)) {
            prop_assert_eq!(values(alone.update(bar[0], bar[1], bar[2], bar[3])), expected);
        }
    }

    #[test]
    fn a_stream_with_gaps_and_restarts_equals_batch(
        given in prop::collection::vec(series(60), 0..20),
        holes in prop::collection::vec(any::<u32>(), 90),
        restarts in prop::collection::vec(any::<bool>(), 90),
    ) {
        let expected: Vec<Vec<Vec<(usize, i32)>>> = given.iter().map(|bars| by_batch(bars)).collect();
        let mut stream = CandlestickStream::new(given.len());
        let (mut taken, none) = (vec![0; given.len()], Vec::new());
        for (hole, restart) in holes.into_iter().zip(restarts) {
            let here = |symbol: usize| hole >> (symbol % 32) & 1 == 1 && taken[symbol] < given[symbol].len();
            let present: Vec<bool> = (0..given.len()).map(here).collect();
            let bars: Vec<Bar> =
                (0..given.len()).map(|s| if present[s] { given[s][taken[s]] } else { NO_BAR }).collect();
            let found = minute(&mut stream, &bars);
            for (symbol, found) in found.into_iter().enumerate() {
                let wanted: &Vec<_> = if present[symbol] { &expected[symbol][taken[symbol]] } else { &none };
                prop_assert_eq!(&values(found), wanted, "symbol {}", symbol);
                taken[symbol] += usize::from(present[symbol]);
            }
            if restart {
                let restored = CandlestickStream::restore(&stream.snapshot()).expect("a snapshot");
                prop_assert_eq!(&restored, &stream);
                stream = restored;
            }
        }
    }

    #[test]
    fn a_symbol_steps_alone_as_among_others(bars in prop::collection::vec(series(40), 1..12)) {
        let mut together = CandlestickStream::new(bars.len());
        let mut alone = together.clone();
        for at in 0..40 {
            let now: Vec<Bar> = bars.iter().map(|bars| bars.get(at).copied().unwrap_or(NO_BAR)).collect();
            let found = minute(&mut together, &now);
            for (symbol, bar) in now.iter().enumerate() {
                let hits = alone.update_one(symbol, *bar).expect("a bar");
                prop_assert_eq!(values(hits), values(found[symbol]));
            }
        }
        prop_assert_eq!(alone, together);
    }

    #[test]
    fn bytes_that_are_no_snapshot_are_refused_not_believed(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(CandlestickStream::restore(&bytes).is_err());
    }
}
