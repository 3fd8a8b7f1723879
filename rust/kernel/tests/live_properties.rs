//! The indicators of a history are those of the batches over the bars as they now are, wherever it once began.

use proptest::prelude::*;
use tickstockpl_kernel::bar::{Bar, Fold, quality};
use tickstockpl_kernel::benchmark::Benchmark;
use tickstockpl_kernel::detectors::DetectorList;
use tickstockpl_kernel::history::History;
use tickstockpl_kernel::indicator::Seed;
use tickstockpl_kernel::indicator::adx::Adx;
use tickstockpl_kernel::indicator::atr::Atr;
use tickstockpl_kernel::indicator::bollinger::Bollinger;
use tickstockpl_kernel::indicator::ema::Ema;
use tickstockpl_kernel::indicator::gauges::{Indicators, Reading, Watch};
use tickstockpl_kernel::indicator::live::{Kernels, Values};
use tickstockpl_kernel::indicator::macd::Macd;
use tickstockpl_kernel::indicator::obv::Obv;
use tickstockpl_kernel::indicator::rsi::Rsi;
use tickstockpl_kernel::indicator::sma::Sma;
use tickstockpl_kernel::indicator::stochastic::Stochastic;
use tickstockpl_kernel::indicator::volume_ratio::VolumeRatio;
use tickstockpl_kernel::indicator::vwap::Vwap;
use tickstockpl_kernel::made::Made;
use tickstockpl_kernel::offset::Span;
use tickstockpl_kernel::rule::Ruleset;
use tickstockpl_kernel::rules::Rules;
use tickstockpl_kernel::session::Session;
use tickstockpl_kernel::tick::Kind;
use tickstockpl_kernel::time::MINUTE_US;
use tickstockpl_kernel::timeframe::Timeframe;

const BASE_BARS: usize = 200;

fn rules(window_bars: usize) -> Rules {
    let watch = Watch { all: true, ..Watch::default() };
    let kernels = Kernels::new().expect("periods are in range");
    Rules {
        timeframe: Timeframe::Min1,
        longer: None,
        window_bars,
        price_scale: Some(2),
        revise_us: 900_000_000,
        study: tickstockpl_kernel::study::Kernels::new().expect("periods within their ranges"),
        detectors: DetectorList::new(Vec::new()),
        indicators: Some(Indicators { kernels, watch, rsi_bounds: (30.0, 70.0) }),
        combined: Ruleset::default(),
        benchmark: Benchmark::default(),
    }
}

/// A bar of the history, and the number of its session; `None` if it is in none.
#[derive(Clone, Copy, Debug)]
struct Given {
    bar: Bar,
    session: Option<i64>,
}

/// A bar from four small numbers: prices on a grid of cents, some flat, some without volume.
fn bar(ts_us: i64, last: f64, [open, close, above, below]: [i8; 4], volume: u8) -> Bar {
    let cents = |moved: i8| f64::from(moved) / 100.0;
    let price = |price: f64| ((price.max(1.0)) * 100.0).round() / 100.0;
    let (open, close) = (price(last + cents(open / 4)), price(last + cents(close)));
    let (high, low) = (open.max(close) + cents(above).abs(), open.min(close) - cents(below / 4).abs());
    let (high, low) = (price(high), price(low.max(0.5)).min(open).min(close));
    let volume = i64::from(volume) * 100;
    Bar { ts_us, open, high, low, close, volume, vwap: close, trades: 1, quality: 0, open_us: ts_us, close_us: ts_us }
}

fn fold(bar: &Bar) -> Fold {
    Fold::from_bar(bar, Span::NONE, 0, Kind::T)
}

/// The session of this number.
fn of(number: i64) -> Session {
    Session { open_us: number, close_us: number + 1 }
}

fn closed(history: &mut History, fold: Fold, session: Option<i64>, is_late: bool, rules: &Rules) -> Made {
    let mut made = Made::default();
    history.close(fold, session.map(of), is_late, rules, &mut made);
    made
}

/// What the batches give at the last of `bars`.
fn reference(bars: &[Given], window_bars: usize) -> Values {
    let all: Vec<Given> = bars.iter().copied().filter(|given| given.session.is_some()).collect();
    let session = all.last().and_then(|given| given.session);
    let opens = all.iter().position(|given| given.session == session).unwrap_or(0);
    let from = opens.saturating_sub(BASE_BARS.min(window_bars));
    let column = |bars: &[Given], of: fn(&Bar) -> f64| bars.iter().map(|given| of(&given.bar)).collect::<Vec<f64>>();
    let prices = |bars: &[Given]| [column(bars, |b| b.high), column(bars, |b| b.low), column(bars, |b| b.close)];
    let volumes = |bars: &[Given]| column(bars, |bar| bar.volume as f64);
    let ([high, low, close], volume) = (prices(&all[from..]), volumes(&all[from..]));
    let flat = close.iter().all(|price| *price == close[0]);
    let last = |values: &[f64]| values.last().copied().unwrap_or(f64::NAN);
    let seed = Seed::First;
    let macd = Macd::new(12, 26, 9, seed).unwrap().batch(&close).unwrap();
    let bands = Bollinger::new(20, 2.0, 1).unwrap().batch(&close).unwrap();
    let adx = Adx::new(14, seed).unwrap().batch(&high, &low, &close).unwrap();
    let stochastic = Stochastic::new(14, 1, 3).unwrap().batch(&high, &low, &close).unwrap();
    let [high_now, low_now, close_now] = prices(&all[opens..]);
    let vwap = Vwap.batch([&high_now, &low_now, &close_now], &volumes(&all[opens..]), None).unwrap();
    Values {
        sma: last(&Sma::new(20).unwrap().batch(&close).unwrap()),
        ema_12: last(&Ema::new(12, seed).unwrap().batch(&close).unwrap()),
        ema_26: last(&Ema::new(26, seed).unwrap().batch(&close).unwrap()),
        rsi: if flat { f64::NAN } else { last(&Rsi::new(14, seed).unwrap().batch(&close).unwrap()) },
        macd: last(&macd.line),
        macd_signal: last(&macd.signal),
        macd_histogram: last(&macd.histogram),
        bollinger_upper: last(&bands.upper),
        bollinger_middle: last(&bands.middle),
        bollinger_lower: last(&bands.lower),
        atr: last(&Atr::new(14, seed).unwrap().batch(&high, &low, &close).unwrap()),
        adx: last(&adx.adx),
        plus_di: last(&adx.plus),
        minus_di: last(&adx.minus),
        obv: last(&Obv.batch(&close, &volume).unwrap()),
        stochastic_k: last(&stochastic.k),
        stochastic_d: last(&stochastic.d),
        vwap: last(&vwap.vwap),
        vwap_sigma: last(&vwap.sigma),
        relative_volume: last(&VolumeRatio::new(20).unwrap().batch(&volumes(&all)).unwrap()),
    }
}

fn bits(values: &Values) -> Vec<(&'static str, u64)> {
    let bits = values.columns().map(|x| if x.is_nan() { u64::MAX } else { x.to_bits() });
    Values::NAMES.into_iter().zip(bits).collect()
}

/// Each reading is the batches' answer at its bar.
fn agree(readings: &[Reading], bars: &[Given], window_bars: usize) -> Result<(), TestCaseError> {
    for reading in readings {
        let at = bars.iter().position(|given| given.bar.ts_us == reading.bar.ts_us).expect("a bar that was given");
        prop_assert_eq!(bits(&reading.values), bits(&reference(&bars[..=at], window_bars)), "bar {}", at);
    }
    Ok(())
}

/// A step of a symbol's day.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The next bar, so many minutes after the last one.
    Next([i8; 4], u8, i64),
    /// A late bar between the last one and the one so many before it.
    Between([i8; 4], u8, usize),
    /// The bar so many before the newest becomes another one.
    Revise([i8; 4], u8, usize),
    /// The next bar opens a session, so many minutes later; true: a bar outside of sessions lies between.
    Open(i64, bool),
    /// The first tick of a minute that begins so many after the last bar: its session is foreseen, rightly or not.
    Foresee(i64),
    /// The process starts again and reads its history.
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let moves = || any::<[i8; 4]>();
    let step = prop_oneof![
        60 => (moves(), any::<u8>(), 1i64..3).prop_map(|(m, v, after)| Step::Next(m, v, after)),
        2 => (moves(), any::<u8>(), 1usize..4).prop_map(|(m, v, back)| Step::Between(m, v, back)),
        4 => (moves(), any::<u8>(), 0usize..14).prop_map(|(m, v, back)| Step::Revise(m, v, back)),
        1 => (prop_oneof![Just(0i64), Just(20)], any::<bool>()).prop_map(|(after, apart)| Step::Open(after, apart)),
        1 => Just(Step::Open(0, true)),
        4 => (0i64..2).prop_map(Step::Foresee),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..400)
}

/// What a restarted process reads: the window before the session, and the session.
fn restarted(bars: &[Given], rules: &Rules) -> History {
    let mut history = History::new(rules);
    history.watch();
    let session = bars.iter().rev().find_map(|given| given.session);
    let opens = bars.iter().position(|given| given.session == session).unwrap_or(0);
    let before: Vec<&Given> = bars[..opens].iter().filter(|given| given.session.is_some()).collect();
    let kept = before.len().saturating_sub(rules.window_bars);
    for given in before[kept..].iter().copied().chain(&bars[opens..]) {
        assert!(history.warm(fold(&given.bar), 0, given.session.map(of), rules), "history is fed in order");
    }
    history
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn readings_are_the_batches_answers_after_any_revision_and_restart(
        steps in steps(),
        window_bars in prop_oneof![Just(200usize), Just(30), Just(64)],
    ) {
        let rules = rules(window_bars);
        let mut history = History::new(&rules);
        history.watch();
        let mut bars: Vec<Given> = Vec::new();
        let (mut minute, mut session, mut opened) = (0i64, 0i64, 0usize);
        // A restart knows too little of the session before to look at its bars again.
        let mut known = 0usize;
        for step in steps {
            let last = bars.last().map_or(20.0, |given| given.bar.close);
            let given = match step {
                Step::Next(moves, volume, after) => {
                    minute += after;
                    Given { bar: bar(minute * MINUTE_US, last, moves, volume), session: Some(session) }
                }
                Step::Open(after, apart) => {
                    session += 1;
                    minute += after + i64::from(apart);
                    opened = bars.len() + usize::from(apart);
                    if !apart {
                        continue;
                    }
                    Given { bar: bar(minute * MINUTE_US, last, [1; 4], 1), session: None }
                }
                Step::Between(moves, volume, back) => {
                    let Some(at) = bars.len().checked_sub(back).filter(|&at| at > known && at < bars.len()) else { continue };
                    let ts_us = bars[at].bar.ts_us - MINUTE_US;
                    if history.is_behind(ts_us) || bars[at - 1].bar.ts_us >= ts_us {
                        continue;
                    }
                    let late = Given { bar: bar(ts_us, last, moves, volume), session: bars[at].session };
                    bars.insert(at, late);
                    opened += usize::from(at < opened);
                    let made = closed(&mut history, fold(&late.bar), late.session, true, &rules);
                    prop_assert!(!made.readings.iter().any(|reading| reading.fresh));
                    agree(&made.readings, &bars, window_bars)?;
                    continue;
                }
                Step::Revise(moves, volume, back) => {
                    let Some(at) = bars.len().checked_sub(back + 1).filter(|&at| at >= known) else { continue };
                    let ts_us = bars[at].bar.ts_us;
                    if history.sealed(ts_us).is_none() {
                        continue;
                    }
                    bars[at].bar = bar(ts_us, last, moves, volume);
                    let revised = fold(&bars[at].bar);
                    let mut made = Made::default();
                    let add = |sealed: &mut Fold| *sealed = revised;
                    prop_assert!(history.revise(ts_us, bars[at].session.map(of), &rules, add, &mut made));
                    let later = bars[at..].iter().filter(|given| given.session.is_some()).count();
                    prop_assert_eq!(made.readings.len(), later);
                    prop_assert!(!made.readings.iter().any(|reading| reading.fresh));
                    agree(&made.readings, &bars, window_bars)?;
                    continue;
                }
                Step::Foresee(ahead) => {
                    history.foresee(0, Some(of(session + ahead)), &rules);
                    continue;
                }
                Step::Restart => {
                    history = restarted(&bars, &rules);
                    known = opened.min(bars.len());
                    continue;
                }
            };
            bars.push(given);
            let event_us = given.bar.ts_us + MINUTE_US;
            history.trim(event_us, |_| event_us, i64::MAX, &rules);
            let made = closed(&mut history, fold(&given.bar), given.session, false, &rules);
            prop_assert_eq!(made.readings.len(), usize::from(given.session.is_some()));
            prop_assert!(made.readings.iter().all(|reading| reading.fresh));
            agree(&made.readings, &bars, window_bars)?;
        }
    }
}

#[test]
fn a_bar_that_may_lack_ticks_is_carried_but_not_read() {
    let rules = rules(30);
    let mut history = History::new(&rules);
    history.watch();
    let mut bars = Vec::new();
    for minute in 0..40 {
        let flags = if minute == 25 { quality::GAP } else { 0 };
        let bar = Bar { quality: flags, ..bar(minute * MINUTE_US, 20.0 + minute as f64, [4, 8, 2, 2], 9) };
        bars.push(Given { bar, session: Some(0) });
        let made = closed(&mut history, fold(&bar), Some(0), false, &rules);
        assert_eq!(made.readings.len(), usize::from(minute != 25));
        agree(&made.readings, &bars, 30).unwrap();
    }
}

/// The alerts of a walk of closes, by bar.
fn alerts(closes: &[f64]) -> Vec<u8> {
    let rules = rules(30);
    let mut history = History::new(&rules);
    history.watch();
    let close = |(minute, &close): (usize, &f64)| {
        let mut bar = bar(minute as i64 * MINUTE_US, close, [0; 4], 9);
        (bar.open, bar.high, bar.low, bar.close) = (close, close, close, close);
        closed(&mut history, fold(&bar), Some(0), false, &rules).readings[0].alerts
    };
    closes.iter().enumerate().map(close).collect()
}

#[test]
fn an_alert_is_a_crossing_and_not_a_state() {
    let flat = (0..40).map(|bar| 100.0 + f64::from(bar % 2));
    let climb = (0..20).map(|bar| 101.0 + f64::from(bar));
    let fall = (0..40).map(|bar| 120.0 - 2.0 * f64::from(bar));
    let seen = alerts(&flat.chain(climb).chain(fall).collect::<Vec<_>>());
    let count = |bit: u8| seen.iter().filter(|&&bits| bits >> bit & 1 != 0).count();
    let first = |bit: u8| seen.iter().position(|&bits| bits >> bit & 1 != 0).unwrap_or(usize::MAX);
    assert_eq!((count(0), count(1)), (1, 1), "RSI stays above 70 for many bars, and below 30 for more: {seen:?}");
    assert!((40..60).contains(&first(0)) && first(1) >= 60);
    assert!(count(2) >= 1 && count(3) >= 1 && count(4) >= 1 && count(5) >= 1, "{seen:?}");
    assert_eq!(seen[..14].iter().copied().max(), Some(0), "nothing is crossed before it is there");
}

#[test]
fn what_was_foreseen_before_a_revision_is_made_anew() {
    let rules = rules(30);
    let mut history = History::new(&rules);
    history.watch();
    let given = |minute: i64, session| Given {
        bar: bar(minute * MINUTE_US, 20.0, [(minute % 7) as i8, (minute % 5) as i8, 2, 2], 9),
        session: Some(session),
    };
    let mut bars: Vec<Given> = (0..40).map(|minute| given(minute, 0)).collect();
    for given in &bars {
        closed(&mut history, fold(&given.bar), given.session, false, &rules);
    }
    history.foresee(0, Some(of(1)), &rules);
    bars[39].bar = bar(39 * MINUTE_US, 25.0, [9, 30, 2, 2], 9);
    let revised = fold(&bars[39].bar);
    let add = |sealed: &mut Fold| *sealed = revised;
    assert!(history.revise(39 * MINUTE_US, Some(of(0)), &rules, add, &mut Made::default()));
    bars.push(given(40, 1));
    let made = closed(&mut history, fold(&bars[40].bar), Some(1), false, &rules);
    assert_eq!(made.readings.len(), 1);
    agree(&made.readings, &bars, 30).unwrap();
}

#[test]
fn a_price_that_never_moved_has_no_rsi() {
    let rules = rules(30);
    let mut history = History::new(&rules);
    history.watch();
    let rsi = |(minute, close): (i64, f64)| {
        let bar = Bar { open: close, high: close, low: close, close, ..bar(minute * MINUTE_US, 20.0, [0; 4], 9) };
        closed(&mut history, fold(&bar), Some(0), false, &rules).readings[0].values.rsi
    };
    let seen: Vec<f64> = (0..30).zip([vec![20.0; 25], vec![19.0; 5]].concat()).map(rsi).collect();
    assert!(seen[..25].iter().all(|rsi| rsi.is_nan()));
    assert!(seen[25..].iter().all(|rsi| rsi.abs() < 1e-12));
}
