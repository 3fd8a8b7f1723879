//! `cargo bench -p tickstockpl-kernel`: the kernels alone, without Python and without a peer.

mod hot;

use divan::Bencher;
use divan::counter::ItemsCount;
use hot::{Bars, Candlesticks, Decode, Hot};
use tickstockpl_kernel::bar::Bar;
use tickstockpl_kernel::ladder::Ladder;
use tickstockpl_kernel::session::{Session, Sessions};
use tickstockpl_kernel::time::{DAY_US, MINUTE_US};
use tickstockpl_kernel::timeframe::{Align, Grid, Timeframe};

fn main() {
    divan::main();
}

fn timed(bencher: Bencher<'_, '_>, mut kernel: impl Hot) {
    bencher.counter(ItemsCount::new(kernel.work())).bench_local(|| kernel.run());
}

#[divan::bench]
fn decode(bencher: Bencher<'_, '_>) {
    timed(bencher, Decode::new());
}

#[divan::bench]
fn bars(bencher: Bencher<'_, '_>) {
    timed(bencher, Bars::new());
}

#[divan::bench]
fn candlesticks(bencher: Bencher<'_, '_>) {
    timed(bencher, Candlesticks::new());
}

/// The next minute of 10,000 symbols into all timeframes above it: more state than a cache holds.
#[divan::bench]
fn ladders(bencher: Bencher<'_, '_>) {
    let grid = Grid::new(&Sessions::default(), Sessions::default(), Align::Session).expect("UTC days");
    let mut ladders = vec![Ladder::new(&Timeframe::ALL[1..]); 10_000];
    let (mut minute, mut closed) = (0, 0_usize);
    bencher.counter(ItemsCount::new(ladders.len())).bench_local(|| {
        let ts_us = minute * MINUTE_US;
        let bar = Bar {
            ts_us,
            open: 10.0,
            high: 10.5,
            low: 9.5,
            close: 10.25,
            volume: 100 + minute,
            vwap: 10.1,
            trades: 5,
            quality: 0,
            open_us: ts_us,
            close_us: ts_us,
        };
        let open_us = ts_us - ts_us % DAY_US;
        let session = Session { open_us, close_us: open_us + DAY_US };
        for ladder in &mut ladders {
            ladder.push(&bar, session, &grid, |_| closed += 1).expect("each minute is newer");
        }
        minute += 1;
        closed
    });
}
