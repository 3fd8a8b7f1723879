//! A detector that panics costs its symbol that pattern, and nobody else anything.

use tickstockpl_kernel::bar::{Bar, Fold};
use tickstockpl_kernel::benchmark::Benchmark;
use tickstockpl_kernel::detectors::DetectorList;
use tickstockpl_kernel::history::History;
use tickstockpl_kernel::made::Made;
use tickstockpl_kernel::offset::Span;
use tickstockpl_kernel::pattern::{Closing, Match, PATTERNS, Pattern};
use tickstockpl_kernel::rule::Ruleset;
use tickstockpl_kernel::rules::Rules;
use tickstockpl_kernel::session::Session;
use tickstockpl_kernel::study::Kernels;
use tickstockpl_kernel::tick::Kind;
use tickstockpl_kernel::time::MINUTE_US;
use tickstockpl_kernel::timeframe::Timeframe;

/// Cannot bear a bar of 13 shares.
struct Superstitious {
    /// Whether it is asked when all others have been.
    is_last: bool,
}

impl Pattern for Superstitious {
    fn id(&self) -> &'static str {
        "superstitious"
    }

    fn name(&self) -> &'static str {
        "Superstitious"
    }

    fn bars_needed(&self) -> usize {
        1
    }

    fn is_of_others(&self) -> bool {
        self.is_last
    }

    fn source(&self) -> &'static str {
        "this test"
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        assert!(at.window.iter().last().is_some_and(|bar| bar.volume != 13), "thirteen");
        None
    }
}

const BROKEN: u16 = 200;

fn close(history: &mut History, rules: &Rules, minute: i64, volume: i64) -> Made {
    let ts_us = minute * MINUTE_US;
    let bar = Bar {
        ts_us,
        open: 10.0,
        high: 10.5,
        low: 9.5,
        close: 10.0,
        volume,
        vwap: 10.0,
        trades: 1,
        quality: 0,
        open_us: ts_us,
        close_us: ts_us + 1,
    };
    let mut made = Made::default();
    history.close(Fold::from_bar(&bar, Span::NONE, 0, Kind::T), Some(Session::utc_day(0)), false, rules, &mut made);
    made
}

#[test]
fn the_others_go_on_and_it_is_asked_no_more() {
    others_go_on(&Superstitious { is_last: false });
}

#[test]
fn the_others_go_on_without_one_that_is_made_of_them() {
    others_go_on(&Superstitious { is_last: true });
}

fn others_go_on(broken: &'static Superstitious) {
    std::panic::set_hook(Box::new(|_| {}));
    let doji = PATTERNS[0];
    let rules = Rules {
        timeframe: Timeframe::Min1,
        longer: None,
        window_bars: 50,
        price_scale: None,
        revise_us: 900_000_000,
        study: Kernels::new().expect("periods within their ranges"),
        detectors: DetectorList::new(vec![(BROKEN, broken), (0, doji)]),
        indicators: None,
        combined: Ruleset::default(),
        benchmark: Benchmark::default(),
    };
    let (mut one, mut other) = (History::new(&rules), History::new(&rules));
    let found = |made: &Made| made.detections.iter().map(|found| found.pattern).collect::<Vec<_>>();
    assert_eq!(found(&close(&mut one, &rules, 0, 100)), [0]);
    let made = close(&mut one, &rules, 1, 13);
    assert_eq!((found(&made), made.broken.as_slice()), (vec![0], &[BROKEN][..]));
    let made = close(&mut one, &rules, 2, 13);
    assert_eq!((found(&made), made.broken.as_slice()), (vec![0], &[][..]), "switched off here");
    assert!(close(&mut other, &rules, 0, 100).broken.is_empty(), "and not there");
    assert_eq!(close(&mut other, &rules, 1, 13).broken, [BROKEN]);
}
