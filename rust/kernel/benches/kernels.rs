//! `cargo bench -p tickstockpl-kernel`: the kernels alone, without Python and without a peer.

mod hot;

use divan::Bencher;
use divan::counter::ItemsCount;
use hot::{Bars, Candlesticks, Decode, Hot};

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
