//! A state under a right checksum, any bytes or a real one with some of them changed: refused with the engine as it was,
//! or gone on with, and then told and read again. Never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sha1::{Digest, Sha1};
use tickstockpl_kernel::calendar::Calendar;
use tickstockpl_kernel::channel::Lateness;
use tickstockpl_kernel::engine::Engine;
use tickstockpl_kernel::indicator::gauges::Watch;
use tickstockpl_kernel::offset::Arrival;
use tickstockpl_kernel::settings::Settings;
use tickstockpl_kernel::timeframe::{Align, Timeframe};

const SECOND_US: i64 = 1_000_000;
const T0_US: i64 = 1_757_599_200 * SECOND_US;
const HEAD: usize = 28;
const HASH: usize = 20;

fn engine() -> Engine {
    let settings = Settings {
        channels: 2,
        lateness: Lateness { a_us: 2 * SECOND_US, t_us: 5 * SECOND_US },
        revise_us: 120 * SECOND_US,
        window_bars: 40,
        symbols: 6,
        price_scale: Some(2),
        patterns: None,
        rules: Vec::new(),
        seq_counts: true,
        volume_checked: true,
        calendar: Calendar::default(),
        timeframes: vec![Timeframe::Min1],
        align: Align::Session,
        watch: Some(Watch { all: true, ..Watch::default() }),
        rsi_bounds: (30.0, 70.0),
        benchmark: Some("S0".to_owned()),
    };
    Engine::new(settings).expect("these settings are in range")
}

/// Ticks of three symbols, every ten seconds; every tenth is late.
fn feed(engine: &mut Engine, from: i64, to: i64) {
    for at in from..to {
        let now_us = T0_US + at * 10 * SECOND_US;
        let stamp_us = now_us - SECOND_US - if at % 10 == 9 { 80 * SECOND_US } else { 0 };
        let (symbol, stamp, price) = (at % 3, stamp_us as f64 / 1e6, 100.0 + (at % 7) as f64);
        let raw = format!(
            r#"{{"ticker": "S{symbol}", "price": {price}, "volume": 7, "timestamp": {stamp}, "event_type": "A"}}"#
        );
        let arrival = Arrival { src: at, now_us };
        let channel = usize::from(at % 20 == 19);
        engine.ingest_stamped([(channel, arrival, raw.as_bytes())]).expect("the channels exist");
    }
}

fuzz_target!(|data: &[u8]| {
    let mut told = engine();
    feed(&mut told, 0, 60);
    let mut bytes = told.snapshot();
    bytes.truncate(bytes.len() - HASH);
    match data.split_first() {
        Some((0, state)) => {
            bytes.truncate(HEAD);
            bytes.extend(state);
        }
        Some((_, changes)) => {
            let state = bytes.len() - HEAD;
            for change in changes.chunks_exact(4) {
                let at = HEAD + usize::from(u16::from_le_bytes([change[0], change[1]])) % state;
                let removed = usize::from(change[2] % 3);
                let end = (at + removed).min(bytes.len());
                bytes.splice(at.min(end)..end, [change[3]]);
            }
        }
        None => {}
    }
    let hash = Sha1::digest(&bytes);
    bytes.extend(hash);
    let mut changed = engine();
    let before = changed.snapshot();
    if changed.restore(&bytes).is_err() {
        assert_eq!(changed.snapshot(), before);
        return;
    }
    engine().restore(&changed.snapshot()).expect("what was believed once is believed again");
    let _ = (changed.provisional(), changed.revisable(), changed.standing(), changed.counters());
    feed(&mut changed, 60, 120);
    changed.subscribed(T0_US + 1_300 * SECOND_US, false);
    changed.advance(T0_US + 3_600 * SECOND_US);
    feed(&mut changed, 400, 430);
    changed.flush();
    let _ = changed.snapshot();
});
