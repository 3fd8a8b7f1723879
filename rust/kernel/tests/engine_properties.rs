//! What must hold for the engine whatever is thrown at it.

use proptest::prelude::*;
use tickstockpl_kernel::calendar::Calendar;
use tickstockpl_kernel::channel::Lateness;
use tickstockpl_kernel::engine::Engine;
use tickstockpl_kernel::output::Output;
use tickstockpl_kernel::settings::Settings;
use tickstockpl_kernel::timeframe::{Align, Timeframe};

const T0_US: i64 = 1_757_599_200_000_000;

fn engine(symbols: usize) -> Engine {
    let settings = Settings {
        channels: 2,
        lateness: Lateness { a_us: 2_000_000, t_us: 5_000_000 },
        revise_us: 120_000_000,
        window_bars: 30,
        symbols,
        price_scale: Some(2),
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
    Engine::new(settings).expect("these settings are in range")
}

/// One step of a feed: something arrives, or time passes.
#[derive(Clone, Debug)]
enum Step {
    Message { channel: usize, payload: Vec<u8> },
    Advance,
    Subscribed { first: bool },
    Flush,
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let stamp = prop_oneof![
        6 => (0i64..400).prop_map(|s| s * 1_000_000),
        2 => 0i64..400_000_000,
        1 => -2_000_000_000i64..9_000_000_000,
    ];
    let kind = prop_oneof![5 => Just("A"), 3 => Just("T"), 1 => Just("Q"), 1 => Just("X")];
    let conditions =
        prop_oneof![4 => Just(""), 1 => Just(r#", "conditions": [37]"#), 1 => Just(r#", "conditions": [15]"#)];
    (0..5u8, stamp, kind, -1i64..2_000, conditions).prop_map(|(symbol, offset_us, kind, cents, conditions)| {
        let seconds = (T0_US + offset_us) as f64 / 1e6;
        let price = cents as f64 / 100.0;
        format!(
            r#"{{"ticker": "S{symbol}", "price": {price}, "volume": 7, "timestamp": {seconds}, "event_type": "{kind}"{conditions}}}"#
        )
        .into_bytes()
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (0..2usize, message()).prop_map(|(channel, payload)| Step::Message { channel, payload }),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(|payload| Step::Message { channel: 0, payload }),
        2 => Just(Step::Advance),
        1 => any::<bool>().prop_map(|first| Step::Subscribed { first }),
        1 => Just(Step::Flush),
    ]
}

fn feed() -> impl Strategy<Value = Vec<(i64, Step)>> {
    // The clock creeps, jumps ahead, and sometimes back.
    let pace = prop_oneof![8 => 0i64..3_000_000, 1 => 0i64..200_000_000, 1 => -5_000_000i64..0];
    proptest::collection::vec((pace, step()), 0..120).prop_map(|steps| {
        let mut now_us = T0_US + 500_000_000;
        steps
            .into_iter()
            .map(|(pace, step)| {
                now_us += pace;
                (now_us, step)
            })
            .collect()
    })
}

fn play(engine: &mut Engine, now_us: i64, step: &Step) -> Output {
    match step {
        Step::Message { channel, payload } => {
            engine.ingest([(*channel, payload.as_slice())], now_us).expect("the channel exists")
        }
        Step::Advance => engine.advance(now_us),
        Step::Subscribed { first } => {
            engine.subscribed(now_us, *first);
            Output::default()
        }
        Step::Flush => engine.flush(),
    }
}

fn counter(engine: &Engine, name: &str) -> u64 {
    engine.counters().into_iter().find(|(known, _)| known == name).map_or(0, |(_, count)| count)
}

proptest! {
    #[test]
    fn every_tick_meets_exactly_one_fate(steps in feed(), cap in 1usize..6) {
        let mut engine = engine(cap);
        for (now_us, step) in &steps {
            play(&mut engine, *now_us, step);
        }
        let fates = ["folded", "quotes", "repeats", "not_owner", "other_kind", "too_late", "condition_excluded", "held"];
        let refused: u64 = engine.counters().iter().filter(|(n, _)| n.starts_with("refused_")).map(|(_, n)| n).sum();
        let met: u64 = fates.iter().map(|name| counter(&engine, name)).sum::<u64>() + refused;
        prop_assert_eq!(met, counter(&engine, "ticks"));
        prop_assert!(counter(&engine, "symbols") <= cap as u64);
    }

    #[test]
    fn a_written_bar_holds_its_own_prices_and_only_grows(steps in feed()) {
        let mut engine = engine(10);
        let mut trades = std::collections::BTreeMap::new();
        for (now_us, step) in &steps {
            for (id, row) in play(&mut engine, *now_us, step).bars {
                let bar = row.bar;
                prop_assert!(bar.low <= bar.open && bar.open <= bar.high, "{bar:?}");
                prop_assert!(bar.low <= bar.close && bar.close <= bar.high, "{bar:?}");
                prop_assert!(bar.low >= 0.01, "a cent rounds to itself: {bar:?}");
                prop_assert!(bar.volume >= 0 && bar.trades > 0 && bar.ts_us % 60_000_000 == 0);
                let before = trades.insert((id, bar.ts_us), bar.trades);
                prop_assert!(before.is_none_or(|before| before < bar.trades), "{bar:?} after {before:?}");
            }
        }
    }

    #[test]
    fn one_call_for_many_messages_is_the_same_as_many_calls(messages in proptest::collection::vec(message(), 0..80)) {
        let (mut whole, mut single) = (engine(10), engine(10));
        let now_us = T0_US + 10_000_000_000;
        let at_once = whole.ingest(messages.iter().map(|m| (0, m.as_slice())), now_us).expect("channel 0 exists");
        let mut one_by_one = Vec::new();
        for message in &messages {
            one_by_one.extend(single.ingest([(0, message.as_slice())], now_us).expect("channel 0 exists").bars);
        }
        let shown = |bars: &[_]| format!("{bars:?}");
        prop_assert_eq!(shown(&at_once.bars), shown(&one_by_one));
        prop_assert_eq!(whole.counters(), single.counters());
        prop_assert_eq!(shown(&whole.flush().bars), shown(&single.flush().bars));
    }
}
