//! An engine restored from a snapshot goes on as the one that made it, to the bit; whatever else the bytes hold, it is
//! refused with a reason or gone on with, and never a panic.

mod walk;

use std::collections::HashSet;

use proptest::prelude::*;
use sha1::{Digest, Sha1};
use tickstockpl_kernel::bar::{Bar, quality};
use tickstockpl_kernel::calendar::Calendar;
use tickstockpl_kernel::channel::Lateness;
use tickstockpl_kernel::engine::Engine;
use tickstockpl_kernel::error::KernelError;
use tickstockpl_kernel::indicator::gauges::Watch;
use tickstockpl_kernel::offset::{Arrival, Span};
use tickstockpl_kernel::pattern::PATTERNS;
use tickstockpl_kernel::rule::{Comparison, Member, Operand, Relation, Rule, Side, Value};
use tickstockpl_kernel::session::Sessions;
use tickstockpl_kernel::settings::Settings;
use tickstockpl_kernel::timeframe::{Align, Timeframe};

const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;
const HOUR_US: i64 = 60 * MINUTE_US;
const DAY_US: i64 = 24 * HOUR_US;
const T0_US: i64 = 1_757_599_200_000_000;

/// Magic, version and the digest of the settings; behind the state stands a SHA-1.
const HEAD: usize = 28;
const HASH: usize = 20;

/// A rule that remembers what the bars before have said.
fn steep() -> Rule {
    let hammer = Member { pattern: "hammer".to_owned(), direction: None, within: 5, timeframe: None };
    let long = Member { pattern: "cdl_longline".to_owned(), timeframe: Some(Timeframe::Hour1), ..hammer.clone() };
    let above = Comparison {
        left: Side(vec![(1.0, Some(Value::Close))]),
        relation: Relation::Above,
        right: Side(vec![(1.0, Some(Value::Open)), (0.1, Some(Value::Atr))]),
    };
    Rule {
        timeframe: Timeframe::Min5,
        id: "steep".to_owned(),
        parameters: "1".to_owned(),
        direction: None,
        cooldown: 3,
        all: vec![Operand::Held(hammer)],
        any: vec![Operand::Compared(above), Operand::Held(long)],
        told: true,
    }
}

/// One of a pattern that looks at the minutes of other days.
fn busy() -> Rule {
    let spike = Member { pattern: "volume_spike_of_day".to_owned(), direction: None, within: 1, timeframe: None };
    Rule {
        timeframe: Timeframe::Min1,
        id: "busy".to_owned(),
        all: vec![Operand::Held(spike)],
        any: Vec::new(),
        cooldown: 0,
        ..steep()
    }
}

fn settings() -> Settings {
    let sessions: Vec<_> = (-1..9).map(|day| T0_US + day * DAY_US).map(|us| (us - HOUR_US, us + 4 * HOUR_US)).collect();
    let regular = Sessions::new(&sessions).expect("they ascend");
    Settings {
        channels: 2,
        lateness: Lateness { a_us: 2 * SECOND_US, t_us: 5 * SECOND_US },
        revise_us: 120 * SECOND_US,
        window_bars: 40,
        symbols: 6,
        price_scale: Some(2),
        patterns: None,
        rules: vec![steep(), busy()],
        seq_counts: true,
        volume_checked: true,
        calendar: Calendar { window: regular.clone(), simulated: Sessions::default(), regular: Some(regular) },
        timeframes: vec![Timeframe::Min1, Timeframe::Min5, Timeframe::Hour1, Timeframe::Weekly],
        align: Align::Session,
        watch: Some(Watch { all: false, symbols: HashSet::from([b"S1"[..].into(), b"S4"[..].into()]) }),
        rsi_bounds: (30.0, 70.0),
        benchmark: Some("S0".to_owned()),
    }
}

fn engine() -> Engine {
    Engine::new(settings()).expect("these settings are in range")
}

/// What is done to an engine, so long after what was done before.
#[derive(Clone, Debug)]
enum Step {
    /// A message of a channel; its stamp may be off.
    Message(i64, usize, Message),
    Advance(i64),
    Subscribed(i64, bool),
    Flush,
}

#[derive(Clone, Debug)]
struct Message {
    off_us: i64,
    symbol: u8,
    kind: char,
    cents: i64,
    more: &'static str,
}

fn step() -> impl Strategy<Value = Step> {
    let pace = prop_oneof![40 => 0i64..4, 20 => 0i64..20, 10 => 30i64..90, 1 => 600i64..90_000];
    let off = prop_oneof![16 => Just(0i64), 6 => -8i64..0, 4 => -150i64..0, 1 => 0i64..100];
    let kind = prop_oneof![6 => Just('A'), 2 => Just('T'), 1 => Just('Q')];
    let channel = prop_oneof![6 => Just(0usize), 1 => Just(1usize)];
    let more = prop::sample::select(vec![
        "",
        "",
        "",
        r#", "seq": 5"#,
        r#", "seq": 9"#,
        r#", "seq": 9223372036854775807"#,
        r#", "accumulated_volume": 7"#,
        r#", "accumulated_volume": 900"#,
        r#", "conditions": [12]"#,
        r#", "conditions": [2]"#,
        r#", "source": "simulated""#,
        r#", "tick_vwap": 99.5, "tick_high": 101, "tick_low": 98"#,
        r#", "price": -1"#,
    ]);
    let message = (off, 0u8..8, kind, 9_900i64..10_100, more).prop_map(|(off, symbol, kind, cents, more)| Message {
        off_us: off * SECOND_US,
        symbol,
        kind,
        cents,
        more,
    });
    prop_oneof![
        60 => (pace, channel, message).prop_map(|(pace, channel, message)| Step::Message(pace, channel, message)),
        2 => (0i64..100).prop_map(Step::Advance),
        1 => (0i64..5, any::<bool>()).prop_map(|(pace, first)| Step::Subscribed(pace, first)),
        1 => Just(Step::Flush),
    ]
}

/// What is done, each at its own time.
struct Feed {
    now_us: i64,
    src: i64,
}

impl Feed {
    const BEGIN: Self = Self { now_us: T0_US, src: 0 };

    /// Does it, and says all that the engine says.
    fn take(&mut self, engine: &mut Engine, step: &Step) -> String {
        match step {
            Step::Message(pace, channel, message) => {
                self.now_us += pace * SECOND_US;
                self.src += 1;
                let Message { off_us, symbol, kind, cents, more } = message;
                let seconds = (self.now_us - SECOND_US + off_us) as f64 / 1e6;
                let price = *cents as f64 / 100.0;
                let raw = format!(
                    r#"{{"ticker": "S{symbol}", "price": {price}, "volume": 7, "timestamp": {seconds}, "event_type": "{kind}"{more}}}"#
                );
                let arrival = Arrival { src: self.src, now_us: self.now_us };
                format!("{:?}", engine.ingest_stamped([(*channel, arrival, raw.as_bytes())]))
            }
            Step::Advance(pace) => {
                self.now_us += pace * SECOND_US;
                format!("{:?}", engine.advance(self.now_us))
            }
            Step::Subscribed(pace, first) => {
                self.now_us += pace * SECOND_US;
                engine.subscribed(self.now_us, *first);
                String::new()
            }
            Step::Flush => format!("{:?}", engine.flush()),
        }
    }

    fn run(&mut self, engine: &mut Engine, steps: &[Step]) {
        for step in steps {
            self.take(engine, step);
        }
    }
}

/// Timeframes whose windows are looked at.
const WINDOWS: [Timeframe; 3] = [Timeframe::Min1, Timeframe::Min5, Timeframe::Weekly];

/// All that can be asked of an engine.
fn asked(engine: &mut Engine) -> String {
    let names: Vec<String> = engine.symbol_names().map(str::to_owned).collect();
    let windows: Vec<_> = names
        .iter()
        .map(|name| {
            WINDOWS.map(|timeframe| engine.window(name.as_bytes(), timeframe).map(|all| all.iter().collect::<Vec<_>>()))
        })
        .collect();
    let numbers = (engine.low_src(), engine.next_src(), engine.revisable(), engine.event_time_us());
    let said = (engine.standing(), engine.counters(), engine.clock_skew_us(), engine.symbols_renamed());
    format!("{names:?} {windows:?} {numbers:?} {said:?} {:?}", engine.provisional())
}

/// Gives a changed state a checksum that covers it.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let hash = Sha1::digest(&bytes);
    bytes.extend(hash);
    bytes
}

fn refused(bytes: &[u8]) -> String {
    let mut fresh = engine();
    let before = fresh.snapshot();
    let said = fresh.restore(bytes).expect_err("it is no snapshot").to_string();
    assert_eq!(fresh.snapshot(), before, "an engine that refuses stays as it was");
    said
}

/// An engine with a bit of everything in it.
fn lived() -> Engine {
    let mut engine = engine();
    let bar = |minute: i64| Bar {
        ts_us: T0_US + minute * MINUTE_US,
        open: 100.0,
        high: 101.0,
        low: 99.0,
        close: 100.5,
        volume: 100 + minute,
        vwap: 100.2,
        trades: 3,
        quality: if minute == -1 { quality::PROVISIONAL } else { 0 },
        open_us: -1,
        close_us: -1,
    };
    let day = Bar { ts_us: T0_US - HOUR_US - DAY_US, ..bar(0) };
    assert!(engine.know(b"S0", &day) && engine.know_volume(b"S0", day.ts_us, 3, 70, quality::GAP));
    for (symbol, minute) in ["S0", "S1", "S2"].into_iter().flat_map(|symbol| (-30..0).map(move |at| (symbol, at))) {
        assert!(engine.warm(symbol.as_bytes(), &bar(minute), 0, Span { first: minute + 50, last: minute + 51 }));
    }
    let mut feed = Feed { now_us: T0_US, src: 100 };
    engine.subscribed(feed.now_us, false);
    let message = |symbol, off_us| Message {
        off_us,
        symbol,
        kind: 'A',
        cents: 10_050,
        more: r#", "seq": 9, "accumulated_volume": 900"#,
    };
    for at in 0..200 {
        feed.take(&mut engine, &Step::Message(5, usize::from(at % 9 == 8), message(at as u8 % 5, 0)));
    }
    feed.take(&mut engine, &Step::Message(1, 0, message(1, 300 * SECOND_US)));
    engine
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn restored_at_any_moment_it_says_what_the_one_that_went_on_says(
        steps in proptest::collection::vec(step(), 1..400),
        cut in 0.0f64..=1.0,
    ) {
        let cut = (steps.len() as f64 * cut) as usize;
        let (mut whole, mut feed) = (engine(), Feed::BEGIN);
        feed.run(&mut whole, &steps[..cut]);
        let snapshot = whole.snapshot();
        let mut again = engine();
        again.restore(&snapshot).expect("it is of the same settings");
        prop_assert_eq!(again.snapshot(), snapshot);
        prop_assert_eq!(asked(&mut again), asked(&mut whole));
        let mut other = Feed { ..feed };
        for step in &steps[cut..] {
            prop_assert_eq!(other.take(&mut again, step), feed.take(&mut whole, step));
        }
        prop_assert_eq!(asked(&mut again), asked(&mut whole));
        prop_assert_eq!(again.snapshot(), whole.snapshot());
    }

    #[test]
    fn whatever_stands_under_a_right_checksum_is_refused_or_gone_on_with(
        steps in proptest::collection::vec(step(), 1..120),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0usize..4), 1..6),
        cut in any::<prop::sample::Index>(),
        is_cut in proptest::bool::weighted(0.2),
    ) {
        let (mut told, mut feed) = (lived(), Feed { now_us: T0_US + 1_100 * SECOND_US, src: 1_000 });
        feed.run(&mut told, &steps[..steps.len() / 2]);
        let mut bytes = told.snapshot();
        bytes.truncate(bytes.len() - HASH);
        let state = bytes.len() - HEAD;
        for (at, byte, count) in changes {
            let at = HEAD + at.index(state);
            bytes.splice(at..(at + count).min(bytes.len()), [byte]);
        }
        if is_cut {
            bytes.truncate(HEAD + cut.index(bytes.len() - HEAD));
        }
        let mut changed = engine();
        if changed.restore(&sealed(bytes)).is_ok() {
            let snapshot = changed.snapshot();
            let mut again = engine();
            prop_assert!(again.restore(&snapshot).is_ok(), "what was believed once is believed again");
            asked(&mut changed);
            feed.run(&mut changed, &steps);
            changed.subscribed(feed.now_us, false);
            changed.advance(feed.now_us + HOUR_US);
            changed.flush();
            prop_assert!(!changed.snapshot().is_empty());
        }
    }

    #[test]
    fn bytes_that_are_no_snapshot_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        refused(&bytes);
    }
}

#[test]
fn a_snapshot_that_does_not_fit_is_refused_with_the_reason_and_changes_nothing() {
    let whole = lived().snapshot();
    let with = |change: fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        refused(&bytes)
    };
    assert_eq!(with(|bytes| bytes.truncate(30)), "the snapshot is too short");
    assert_eq!(with(|bytes| bytes[0] = b'X'), "the snapshot is not of an engine");
    let other = with(|bytes| bytes[4..8].copy_from_slice(&9_u32.to_le_bytes()));
    assert!(other.starts_with("the snapshot is of version 9, not "), "{other}");
    assert_eq!(with(|bytes| bytes[5_000] ^= 1), "the snapshot is damaged: its checksum differs");
    assert_eq!(with(|bytes| bytes.truncate(bytes.len() - 1)), "the snapshot is damaged: its checksum differs");
    let longer = [&whole[..whole.len() - HASH], b"more"].concat();
    assert_eq!(refused(&sealed(longer)), "the snapshot is damaged: there is more behind it");
}

#[test]
fn a_snapshot_made_under_other_settings_is_refused() {
    let snapshot = lived().snapshot();
    let changes: [fn(&mut Settings); 16] = [
        |all| all.channels = 3,
        |all| all.lateness.t_us = 0,
        |all| all.revise_us = 0,
        |all| all.window_bars = 41,
        |all| all.symbols = 7,
        |all| all.price_scale = None,
        |all| all.patterns = Some(vec!["doji".to_owned()]),
        |all| all.rules.clear(),
        |all| all.calendar.window = Sessions::default(),
        |all| all.timeframes = vec![Timeframe::Min5, Timeframe::Hour1],
        |all| all.align = Align::Clock,
        |all| all.watch = None,
        |all| all.seq_counts = false,
        |all| all.volume_checked = false,
        |all| all.rsi_bounds = (20.0, 80.0),
        |all| all.benchmark = None,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut settings = settings();
        change(&mut settings);
        let said = Engine::new(settings).expect("they are in range").restore(&snapshot);
        assert_eq!(said, Err(KernelError::Snapshot("is of other settings".into())), "setting {at}");
    }
    let mut scaled = engine();
    scaled.set_price_scale(Some(4)).expect("4 decimals");
    assert!(scaled.restore(&snapshot).is_err());
    scaled.set_price_scale(Some(2)).expect("2 decimals");
    assert_eq!(scaled.restore(&snapshot), Ok(()));
}

#[test]
fn the_version_is_that_of_what_is_kept() {
    let snapshot = lived().snapshot();
    let state = &snapshot[HEAD..snapshot.len() - HASH];
    let hash = Sha1::digest(state).iter().take(4).fold(0, |hash: u32, byte| hash << 8 | u32::from(*byte));
    let version = snapshot[4..8].iter().rev().fold(0, |version: u32, byte| version << 8 | u32::from(*byte));
    assert_eq!(version, hash, "what is kept has changed, or what it means: this is VERSION in snapshot.rs now");
}

#[test]
fn an_engine_that_has_lived_becomes_the_one_of_the_snapshot() {
    let (one, mut other) = (lived(), lived());
    Feed { now_us: T0_US + 2 * HOUR_US, src: 500 }
        .take(&mut other, &Step::Message(0, 0, Message { off_us: 0, symbol: 5, kind: 'A', cents: 10_000, more: "" }));
    assert_ne!(other.snapshot(), one.snapshot());
    other.restore(&one.snapshot()).expect("it is of the same settings");
    assert_eq!(other.snapshot(), one.snapshot());
}

#[test]
fn timeframes_agree_after_a_restore_as_they_would_have() {
    let agreement = PATTERNS.iter().position(|pattern| pattern.id() == "agreement").expect("there is one") as i32;
    let mut agreed = 0;
    for seed in 0..30 {
        let (mut whole, mut restored) = (engine(), engine());
        for (number, trade) in walk::trades(seed, 700, 110).iter().enumerate() {
            let (seconds, price) = ((T0_US + trade.at_us) as f64 / 1e6, trade.cents as f64 / 100.0);
            let raw = format!(
                r#"{{"ticker": "S2", "price": {price}, "volume": 7, "timestamp": {seconds}, "event_type": "T"}}"#
            );
            let now_us = T0_US + trade.now_us + SECOND_US;
            let [one, other] = [&mut whole, &mut restored]
                .map(|engine| engine.ingest([(0, raw.as_bytes())], now_us).expect("there is such a channel"));
            assert_eq!(format!("{one:?}"), format!("{other:?}"), "seed {seed}, trade {number}");
            agreed += one.detections.rows().filter(|(_, found)| found.pattern == agreement).count();
            if number % 50 == 0 {
                restored = engine();
                restored.restore(&whole.snapshot()).expect("it is one");
            }
        }
    }
    assert!(agreed > 5, "{agreed} agreements");
}
