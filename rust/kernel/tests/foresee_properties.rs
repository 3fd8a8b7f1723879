//! What is prepared when a session's first bar opens is what its close would have made of the same history.

use proptest::prelude::*;
use tickstockpl_kernel::bar::{Bar, Fold};
use tickstockpl_kernel::benchmark::Benchmark;
use tickstockpl_kernel::detectors::DetectorList;
use tickstockpl_kernel::history::History;
use tickstockpl_kernel::indicator::gauges::{Indicators, Watch};
use tickstockpl_kernel::indicator::live::Kernels;
use tickstockpl_kernel::made::Made;
use tickstockpl_kernel::offset::Span;
use tickstockpl_kernel::pattern::PATTERNS;
use tickstockpl_kernel::rule::Ruleset;
use tickstockpl_kernel::rules::Rules;
use tickstockpl_kernel::session::Session;
use tickstockpl_kernel::study::Kernels as StudyKernels;
use tickstockpl_kernel::tick::Kind;
use tickstockpl_kernel::time::MINUTE_US;
use tickstockpl_kernel::timeframe::Timeframe;

fn rules(window_bars: usize) -> Rules {
    let kernels = Kernels::new().expect("periods are in range");
    Rules {
        timeframe: Timeframe::Min1,
        longer: None,
        window_bars,
        price_scale: None,
        revise_us: 900_000_000,
        study: StudyKernels::new().expect("periods within their ranges"),
        detectors: DetectorList::new((0u16..).zip(PATTERNS.iter().copied()).collect()),
        indicators: Some(Indicators { kernels, watch: Watch::default(), rsi_bounds: (30.0, 70.0) }),
        combined: Ruleset::default(),
        benchmark: Benchmark::default(),
    }
}

/// Prices of few units, so that coincidences are the rule; running totals of them remember their order.
fn fold(minute: i64, [open, close, up, down]: [i8; 4]) -> Fold {
    let price = |units: i32| 0.3 * f64::from(units);
    let (open, close) = (500 + i32::from(open / 16), 500 + i32::from(close / 16));
    let [high, low] = [open.max(close) + i32::from(up / 16).abs(), open.min(close) - i32::from(down / 16).abs()];
    let [open, high, low, close] = [open, high, low, close].map(price);
    let ts_us = minute * MINUTE_US;
    let bar = Bar {
        ts_us,
        open,
        high,
        low,
        close,
        volume: 100,
        vwap: close,
        trades: 1,
        quality: 0,
        open_us: ts_us,
        close_us: ts_us,
    };
    Fold::from_bar(&bar, Span::NONE, 0, Kind::T)
}

/// The session of this number.
fn of(number: i64) -> Session {
    Session { open_us: number, close_us: number + 1 }
}

/// All that came and went with a bar, to the last bit.
fn said(made: Option<Made>) -> String {
    format!("{:?}", made.map(|made| (made.row, made.detections)))
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The next bar, of this session or of one that it opens; whether the opening is foreseen.
    Next([i8; 4], bool, bool),
    /// The bar so many before the newest becomes another one.
    Revise([i8; 4], i64),
    /// A session is foreseen, rightly or not.
    Foresee(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let moves = any::<[i8; 4]>;
    let step = prop_oneof![
        30 => (moves(), any::<bool>()).prop_map(|(m, foreseen)| Step::Next(m, false, foreseen)),
        3 => (moves(), any::<bool>()).prop_map(|(m, foreseen)| Step::Next(m, true, foreseen)),
        3 => (moves(), 0i64..17).prop_map(|(m, back)| Step::Revise(m, back)),
        2 => (0i64..3).prop_map(Step::Foresee),
    ];
    proptest::collection::vec(step, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_session_foreseen_or_not_has_the_same_patterns(
        steps in steps(),
        window_bars in prop_oneof![Just(34usize), Just(200)],
    ) {
        let rules = rules(window_bars);
        let (mut ahead, mut late) = (History::new(&rules), History::new(&rules));
        let (mut minute, mut session) = (0i64, 0i64);
        let mut sessions = Vec::new();
        for step in steps {
            let (one, other) = match step {
                Step::Foresee(further) => {
                    ahead.foresee(0, Some(of(session + further)), &rules);
                    continue;
                }
                Step::Next(moves, opens, foreseen) => {
                    session += i64::from(opens);
                    if foreseen {
                        ahead.foresee(0, Some(of(session)), &rules);
                    }
                    sessions.push(session);
                    let bar = fold(minute, moves);
                    let event_us = minute * MINUTE_US;
                    minute += 1;
                    let close = |history: &mut History| {
                        history.trim(event_us, |_| event_us, i64::MAX, &rules);
                        let mut made = Made::default();
                        history.close(bar, Some(of(session)), false, &rules, &mut made);
                        Some(made)
                    };
                    (close(&mut ahead), close(&mut late))
                }
                Step::Revise(moves, back) => {
                    let at = minute - 1 - back;
                    let Some(&session) = usize::try_from(at).ok().and_then(|at| sessions.get(at)) else { continue };
                    let bar = fold(at, moves);
                    let revise = |history: &mut History| {
                        let mut made = Made::default();
                        let add = |sealed: &mut Fold| *sealed = bar;
                        history.revise(at * MINUTE_US, Some(of(session)), &rules, add, &mut made).then_some(made)
                    };
                    (revise(&mut ahead), revise(&mut late))
                }
            };
            prop_assert_eq!(said(one), said(other));
        }
    }
}
