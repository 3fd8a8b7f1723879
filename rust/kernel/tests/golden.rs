//! Every way to ask for the 61 candlestick functions gives what TA-Lib answered for the same bars.

use std::collections::BTreeSet;

use tickstockpl_kernel::candle::talib::block::Block;
use tickstockpl_kernel::candle::talib::stream::CandlestickStream;
use tickstockpl_kernel::candle::talib::{CANDLESTICKS, COUNT, Hits, batch};

type Answers = Vec<(usize, i32)>;

/// Bars of one symbol, and for each the columns that answer something else than 0.
struct Series {
    prices: [Vec<f64>; 4],
    answers: Vec<Answers>,
}

fn golden() -> Vec<Series> {
    let text = include_str!("golden/candlesticks.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>();
    let blocks = lines.split(|line| line.is_empty()).filter(|block| !block.is_empty());
    blocks.map(series).collect()
}

fn series(lines: &[&str]) -> Series {
    let mut series = Series { prices: std::array::from_fn(|_| Vec::new()), answers: Vec::new() };
    for line in lines {
        let mut words = line.split(' ');
        for column in &mut series.prices {
            let cents: f64 = words.next().and_then(|word| word.parse().ok()).expect("a price in cents");
            column.push(cents / 100.0);
        }
        series.answers.push(words.map(answer).collect());
    }
    series
}

fn answer(word: &str) -> (usize, i32) {
    let (name, value) = word.split_once('=').expect("NAME=VALUE");
    let column = CANDLESTICKS.iter().position(|candlestick| candlestick.name == name).expect("a function's name");
    (column, value.parse().expect("a value"))
}

fn answers(hits: Hits) -> Answers {
    hits.values().collect()
}

#[test]
fn the_vectors_hold_every_function_and_every_size() {
    let series = golden();
    let seen = series.iter().flat_map(|series| series.answers.iter().flatten());
    let (columns, values): (BTreeSet<_>, BTreeSet<_>) = seen.copied().unzip();
    assert_eq!(columns.len(), COUNT);
    assert_eq!(values, BTreeSet::from([-200, -100, -80, 80, 100, 200]));
}

#[test]
fn batch_answers_as_talib() {
    for series in golden() {
        let prices = series.prices.each_ref().map(Vec::as_slice);
        let rows = series.answers.len();
        let columns: Vec<usize> = (0..COUNT).collect();
        let mut cells = vec![0; COUNT * rows];
        batch::fill(prices, &columns, &mut cells).expect("bars");
        for (row, expected) in series.answers.iter().enumerate() {
            let filled = columns.iter().map(|column| (*column, cells[column * rows + row]));
            assert_eq!(&filled.filter(|(_, value)| *value != 0).collect::<Answers>(), expected, "row {row}");
        }
    }
}

#[test]
fn one_symbol_alone_is_answered_as_by_talib() {
    for series in golden() {
        let [open, high, low, close] = &series.prices;
        let mut alone = Block::<1>::default();
        for (row, expected) in series.answers.iter().enumerate() {
            assert_eq!(&answers(alone.update(open[row], high[row], low[row], close[row])), expected, "row {row}");
        }
    }
}

#[test]
fn a_stream_of_all_series_answers_as_talib() {
    let golden = golden();
    let mut stream = CandlestickStream::new(golden.len());
    for row in 0..golden.iter().map(|series| series.answers.len()).max().unwrap_or(0) {
        let at = |field: usize| {
            golden.iter().map(|series| series.prices[field].get(row).copied().unwrap_or(f64::NAN)).collect::<Vec<_>>()
        };
        let prices = [at(0), at(1), at(2), at(3)];
        let mut found = vec![Hits::default(); golden.len()];
        let prices = prices.each_ref().map(Vec::as_slice);
        stream.update(prices, &mut found).expect("bars");
        for (found, series) in found.iter().zip(&golden) {
            assert_eq!(&answers(*found), series.answers.get(row).unwrap_or(&Vec::new()), "row {row}");
        }
    }
}
