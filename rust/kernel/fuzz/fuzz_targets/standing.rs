//! A standing that is any text is refused, or the engine goes on with it: never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tickstockpl_kernel::calendar::Calendar;
use tickstockpl_kernel::channel::Lateness;
use tickstockpl_kernel::engine::Engine;
use tickstockpl_kernel::settings::Settings;
use tickstockpl_kernel::timeframe::{Align, Timeframe};

const TICK: &[u8] =
    br#"{"ticker": "AAPL", "price": 227.43, "volume": 7, "timestamp": 1757600460.0, "event_type": "A"}"#;
const NOW_US: i64 = 1_757_600_461_000_000;

fuzz_target!(|text: &[u8]| {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let settings = Settings {
        channels: 1,
        lateness: Lateness { a_us: 2_000_000, t_us: 5_000_000 },
        revise_us: 900_000_000,
        window_bars: 40,
        symbols: 10,
        price_scale: None,
        patterns: None,
        rules: Vec::new(),
        seq_counts: true,
        volume_checked: true,
        calendar: Calendar::default(),
        timeframes: vec![Timeframe::Min1],
        align: Align::Session,
        watch: None,
        rsi_bounds: (30.0, 70.0),
        benchmark: None,
    };
    let mut engine = Engine::new(settings).expect("these settings are in range");
    if engine.resume(0, text).is_err() {
        return;
    }
    let again = engine.standing();
    engine.resume(0, &again[0]).expect("what was told is read");
    assert_eq!(engine.standing(), again);
    engine.ingest([(0, TICK), (0, TICK)], NOW_US).expect("channel 0 exists");
    engine.subscribed(NOW_US, false);
    engine.advance(NOW_US + 3_600_000_000);
    engine.flush();
});
