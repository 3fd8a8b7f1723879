//! What a minute traded on other days is the same whether ticks came late or in time, and after a restart from rows; it is
//! what a slow look at all bars says.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tickstockpl_kernel::bar::{Bar, Fold, quality};
use tickstockpl_kernel::benchmark::Benchmark;
use tickstockpl_kernel::detectors::DetectorList;
use tickstockpl_kernel::history::History;
use tickstockpl_kernel::made::Made;
use tickstockpl_kernel::offset::Span;
use tickstockpl_kernel::pattern::days::Day;
use tickstockpl_kernel::pattern::{Direction, PATTERNS};
use tickstockpl_kernel::rule::Ruleset;
use tickstockpl_kernel::rules::Rules;
use tickstockpl_kernel::session::Session;
use tickstockpl_kernel::study::Kernels as StudyKernels;
use tickstockpl_kernel::tick::Kind;
use tickstockpl_kernel::time::{DAY_US, MINUTE_US};
use tickstockpl_kernel::timeframe::Timeframe;

/// 2019-02-11 00:00 UTC, a Monday.
const MONDAY_US: i64 = 1_549_843_200_000_000;
/// Six hours before it a week begins.
const WEEK_US: i64 = 7 * DAY_US;
const WINDOW: usize = 30;

fn rules() -> Rules {
    let on = (0u16..).zip(PATTERNS.iter().copied()).filter(|(_, pattern)| pattern.id() == "volume_spike_of_day");
    Rules {
        timeframe: Timeframe::Min1,
        longer: None,
        window_bars: WINDOW,
        price_scale: None,
        revise_us: 900_000_000,
        study: StudyKernels::new().expect("periods within their ranges"),
        detectors: DetectorList::new(on.collect()),
        indicators: None,
        combined: Ruleset::default(),
        benchmark: Benchmark::default(),
    }
}

/// Every minute of some sessions, with its session.
fn minutes(sessions: impl Iterator<Item = Session>) -> Vec<(i64, Session)> {
    let of = |session: Session| (session.open_us..session.close_us).step_by(MINUTE_US as usize);
    sessions.flat_map(|session| of(session).map(move |us| (us, session))).collect()
}

/// Sessions of so many minutes, so far apart.
fn sessions(first_us: i64, length: i64, apart_us: i64) -> impl Iterator<Item = Session> {
    let open = move |number: i64| first_us + number * apart_us;
    (0..400).map(move |at| Session { open_us: open(at), close_us: open(at) + length * MINUTE_US })
}

/// Short ones, so that days pass quickly; and one after the other, so that a late tick goes back over an open and a week's end.
fn calendar() -> impl Strategy<Value = Vec<(i64, Session)>> {
    prop_oneof![
        Just(minutes(sessions(MONDAY_US, 7, DAY_US))),
        Just(minutes(sessions(MONDAY_US + 14 * DAY_US / 24, 25, DAY_US))),
        Just(minutes(sessions(MONDAY_US - 13 * DAY_US / 24, 30, 30 * MINUTE_US))),
        Just(minutes(sessions(MONDAY_US - 10 * DAY_US / 24, 12, 12 * MINUTE_US))),
    ]
}

#[derive(Clone, Copy, Debug)]
struct Told {
    volume: i64,
    /// In percent of the level.
    open: i64,
    close: i64,
    flag: u8,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A bar, so many minutes after the one before; the level of prices becomes another one.
    Next(usize, Told, Option<i64>),
    /// The minute so many before the newest is traded, or traded again, late.
    Late(usize, Told),
}

fn told() -> impl Strategy<Value = Told> {
    let volume = prop_oneof![12 => 5i64..25, 2 => 60i64..300, 1 => Just(0)];
    let flag = prop_oneof![20 => Just(0), 1 => Just(quality::GAP), 1 => Just(quality::REPAIRED)];
    (volume, 96i64..104, 96i64..104, flag).prop_map(|(volume, open, close, flag)| Told { volume, open, close, flag })
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let skipped = prop_oneof![30 => Just(1usize), 6 => 2usize..4, 1 => 4usize..60];
    let level = prop_oneof![300 => Just(None), 1 => Just(Some(100i64)), 1 => Just(Some(200))];
    let next = (skipped, told(), level).prop_map(|(skipped, told, level)| Step::Next(skipped, told, level));
    let late = (1usize..14, told()).prop_map(|(back, told)| Step::Late(back, told));
    proptest::collection::vec(prop_oneof![12 => next, 1 => late], 300..most)
}

/// The bars as they are in the end, and what was held of them while they came.
struct Played {
    history: History,
    bars: BTreeMap<i64, (Bar, Session)>,
    held: BTreeMap<i64, Direction>,
    /// The place of the newest minute.
    at: usize,
    level: i64,
    /// Late ticks are of bars that are there, at a price like theirs.
    mild: bool,
}

fn fold(bar: &Bar) -> Fold {
    Fold::from_bar(bar, Span::NONE, 0, Kind::T)
}

fn note(held: &mut BTreeMap<i64, Direction>, made: &Made) {
    for found in &made.detections {
        let ts_us = found.on.bar.ts_us;
        if found.held {
            held.insert(ts_us, found.direction);
        } else if held.get(&ts_us) == Some(&found.direction) {
            held.remove(&ts_us);
        }
    }
}

fn bar(ts_us: i64, told: Told, level: i64) -> Bar {
    let price = |percent: i64| (level * percent) as f64 / 100.0;
    let (open, close) = (price(told.open), price(told.close));
    Bar {
        ts_us,
        open,
        high: open.max(close),
        low: open.min(close),
        close,
        volume: told.volume,
        vwap: close,
        trades: 1,
        quality: told.flag,
        open_us: ts_us,
        close_us: ts_us,
    }
}

impl Played {
    fn new(rules: &Rules, mild: bool) -> Self {
        Self { history: History::new(rules), bars: BTreeMap::new(), held: BTreeMap::new(), at: 0, level: 100, mild }
    }

    /// Takes a step, unless it leads out of the calendar.
    fn take(&mut self, step: Step, calendar: &[(i64, Session)], rules: &Rules) {
        let (place, told) = match step {
            Step::Next(after, told, new) => {
                let Some(&(ts_us, _)) = calendar.get(self.at + after) else { return };
                (self.level, self.at) = (new.unwrap_or(self.level), self.at + after);
                self.history.trim(ts_us, |_| ts_us, i64::MAX, rules);
                (self.at, told)
            }
            Step::Late(back, told) => (self.at.saturating_sub(back), told),
        };
        let ((ts_us, session), now_us) = (calendar[place], calendar[self.at].0);
        if ts_us + 15 * MINUTE_US < now_us || self.history.is_behind(ts_us) {
            return;
        }
        let mut made = Made::default();
        let mut added = bar(ts_us, told, self.level);
        if let Some((known, _)) = self.bars.get(&ts_us) {
            if self.mild {
                added = bar(ts_us, told, if known.close > 150.0 { 200 } else { 100 });
            }
            // Its first tick may be an earlier one.
            let open = if told.volume % 3 == 0 { added.open } else { known.open };
            let (high, low) = (added.high.max(known.high), added.low.min(known.low));
            added = Bar { open, high, low, volume: known.volume + told.volume, quality: known.quality, ..added };
            let late = fold(&added);
            assert!(self.history.revise(ts_us, Some(session), rules, |sealed| *sealed = late, &mut made));
            added.quality |= quality::LATE_REVISED;
        } else if self.mild && ts_us < now_us {
            return;
        } else {
            self.history.close(fold(&added), Some(session), ts_us < now_us, rules, &mut made);
        }
        note(&mut self.held, &made);
        self.bars.insert(ts_us, (added, session));
    }
}

fn played(calendar: &[(i64, Session)], steps: &[Step], rules: &Rules) -> Played {
    let mut to = Played::new(rules, false);
    for &step in steps {
        to.take(step, calendar, rules);
    }
    to
}

/// The number of a session's week.
fn week(open_us: i64) -> i64 {
    (open_us + DAY_US / 4 - MONDAY_US).div_euclid(WEEK_US)
}

/// The finished sessions before one, oldest first, each with its bars: as far back as they count.
fn counted(bars: &BTreeMap<i64, (Bar, Session)>, before_us: i64) -> Vec<(i64, Vec<Bar>)> {
    let mut all: BTreeMap<i64, Vec<Bar>> = BTreeMap::new();
    for (bar, session) in bars.values().filter(|(_, session)| session.open_us < before_us) {
        all.entry(session.open_us).or_default().push(*bar);
    }
    let mut counted: Vec<(i64, Vec<Bar>)> = Vec::new();
    for (number, (open_us, own)) in all.into_iter().enumerate() {
        if number == 0 && own[0].ts_us - open_us >= 5 * MINUTE_US {
            continue;
        }
        if counted.last().is_some_and(|(_, last)| is_split(own[0].open, last)) {
            counted.clear();
        }
        counted.push((open_us, own));
    }
    counted
}

fn is_split(open: f64, last: &[Bar]) -> bool {
    last.last().is_some_and(|last| (open / last.close - 1.0).abs() > 0.35)
}

/// What a slow look at all bars finds.
fn expected(bars: &BTreeMap<i64, (Bar, Session)>) -> BTreeMap<i64, Direction> {
    let all: Vec<&(Bar, Session)> = bars.values().collect();
    let mut found = BTreeMap::new();
    for (at, (bar, session)) in bars.values().enumerate().skip(20) {
        let mean = all[at - 20..at].iter().map(|(bar, _)| bar.volume).sum::<i64>() as f64 / 20.0;
        let is_spike = mean > 0.0 && bar.volume as f64 > 3.0 * mean;
        if !is_spike || bar.quality & quality::PARTIAL != 0 {
            continue;
        }
        let mut days = counted(bars, session.open_us);
        let first = all.iter().find(|(_, other)| other.open_us == session.open_us).expect("it has a bar");
        if days.last().is_some_and(|(_, last)| is_split(first.0.open, last)) {
            days.clear();
        }
        days.retain(|(open_us, _)| week(session.open_us) - week(*open_us) < 4);
        let minute = bar.ts_us - session.open_us;
        let same = |(open_us, own): &(i64, Vec<Bar>)| {
            own.iter().find(|other| other.ts_us - open_us == minute).map_or(0, |other| other.volume)
        };
        if days.len() < 10 || days.iter().map(same).all(|volume| bar.volume >= volume) {
            let direction = match bar.close - bar.open {
                up if up > 0.0 => Direction::Bullish,
                down if down < 0.0 => Direction::Bearish,
                _ => Direction::Neutral,
            };
            found.insert(bar.ts_us, direction);
        }
    }
    found
}

/// In order of time, as they are in the end.
fn in_time(bars: &BTreeMap<i64, (Bar, Session)>, rules: &Rules) -> Played {
    let mut to = Played::new(rules, false);
    for (bar, session) in bars.values() {
        let mut made = Made::default();
        to.history.trim(bar.ts_us, |_| bar.ts_us, i64::MAX, rules);
        to.history.close(fold(bar), Some(*session), false, rules, &mut made);
        note(&mut to.held, &made);
    }
    to
}

/// One that is told of sessions and fed the last bars before one of them, as a start is.
fn started(bars: &BTreeMap<i64, (Bar, Session)>, today: Session, rules: &Rules) -> History {
    let mut history = History::new(rules);
    let days = counted(bars, today.open_us);
    for (open_us, own) in &days {
        let high = own.iter().map(|bar| bar.high).fold(f64::MIN, f64::max);
        let low = own.iter().map(|bar| bar.low).fold(f64::MAX, f64::min);
        let close = own[own.len() - 1].close;
        assert!(history.know(Day { open_us: *open_us, open: own[0].open, high, low, close, quality: 0 }));
    }
    let since_us = history.volumes().expect("it is on").since_us();
    assert_eq!(since_us, days.first().map(|(open_us, _)| *open_us));
    let mut most: BTreeMap<(i64, i64), (i64, i64, u8)> = BTreeMap::new();
    for (open_us, own) in &days {
        for bar in own {
            let minute = (bar.ts_us - open_us) / MINUTE_US;
            let cell = most.entry((week(*open_us), minute)).or_insert((*open_us, 0, 0));
            *cell = (*open_us, cell.1.max(bar.volume), cell.2 | bar.quality);
        }
    }
    let newest = days.last().map_or(0, |(open_us, _)| week(*open_us));
    for ((number, minute), (open_us, volume, flags)) in most {
        assert!(history.know_volume(open_us, minute, volume, flags) || newest - number >= 4);
    }
    let before = bars.range(..today.open_us).rev().take(2 * WINDOW).map(|(_, fed)| fed).collect::<Vec<_>>();
    for (bar, session) in before.into_iter().rev().chain(bars.range(today.open_us..).map(|(_, fed)| fed)) {
        assert!(history.warm(fold(bar), 0, Some(*session), rules));
    }
    history
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn late_ticks_end_where_ticks_in_time_do_and_at_what_a_slow_look_finds(calendar in calendar(), steps in steps(1_200)) {
        let rules = rules();
        let mut late = played(&calendar, &steps, &rules);
        prop_assert_eq!(&late.held, &expected(&late.bars));
        let mut in_time = in_time(&late.bars, &rules);
        prop_assert_eq!(&in_time.held, &late.held);
        let end_us = calendar[calendar.len() - 1].0;
        for history in [&mut late.history, &mut in_time.history] {
            history.trim(end_us, |_| end_us, i64::MAX, &rules);
        }
        prop_assert_eq!(late.history.volumes(), in_time.history.volumes());
    }

    #[test]
    fn a_start_from_rows_finds_what_the_run_finds(calendar in calendar(), steps in steps(1_200), cut in 0.0..1.0) {
        let rules = rules();
        let mut run = Played::new(&rules, true);
        let (before, after) = steps.split_at((cut * steps.len() as f64) as usize);
        for &step in before {
            run.take(step, &calendar, &rules);
        }
        let Some((_, today)) = run.bars.values().next_back().copied() else { return Ok(()) };
        let history = started(&run.bars, today, &rules);
        let mut start = Played { history, bars: run.bars.clone(), held: run.held.clone(), ..run };
        for &step in after {
            run.take(step, &calendar, &rules);
            start.take(step, &calendar, &rules);
        }
        prop_assert_eq!(start.held, run.held);
    }
}

/// What is found on the third minute of a session, which trades so many shares after so many days of others.
fn after(days: &[i64], volume: i64) -> bool {
    let rules = rules();
    let quiet = Told { volume: 10, open: 100, close: 101, flag: 0 };
    let mut bars = BTreeMap::new();
    for (ts_us, session) in minutes(sessions(MONDAY_US, 7, DAY_US)).into_iter().take(7 * (days.len() + 1)) {
        let (number, minute) = ((session.open_us - MONDAY_US) / DAY_US, (ts_us - session.open_us) / MINUTE_US);
        let busy = if minute == 2 { days.get(number as usize).copied().unwrap_or(volume) } else { 10 };
        bars.insert(ts_us, (bar(ts_us, Told { volume: busy, ..quiet }, 100), session));
    }
    let held = in_time(&bars, &rules).held;
    held.contains_key(&(MONDAY_US + days.len() as i64 * DAY_US + 2 * MINUTE_US))
}

#[test]
fn of_ten_days_the_largest_volume_is_reached_by_as_much_and_of_nine_none_counts() {
    let mut days = vec![50; 10];
    days[4] = 100;
    assert!(after(&days, 100) && after(&days, 101) && !after(&days, 99));
    assert!(after(&days[..9], 99));
    assert!(!after(&days[..9], 30), "it is none by the bars before it");
}

#[test]
fn a_first_session_that_was_not_seen_from_its_open_is_none_of_the_ten() {
    let rules = rules();
    let told = |volume| Told { volume, open: 100, close: 101, flag: 0 };
    for (late, counts) in [(4, true), (5, false)] {
        let mut bars = BTreeMap::new();
        for (ts_us, session) in minutes(sessions(MONDAY_US, 9, DAY_US)).into_iter().take(9 * 11) {
            let (first, minute) = (session.open_us == MONDAY_US, (ts_us - session.open_us) / MINUTE_US);
            if !first || minute >= late {
                let volume = if minute == 7 { 200 - i64::from(ts_us > MONDAY_US + 9 * DAY_US) } else { 10 };
                bars.insert(ts_us, (bar(ts_us, told(volume), 100), session));
            }
        }
        let held = in_time(&bars, &rules).held;
        assert_eq!(held, expected(&bars));
        assert_eq!(
            held.contains_key(&(MONDAY_US + 10 * DAY_US + 7 * MINUTE_US)),
            !counts,
            "first bar at minute {late}"
        );
    }
}

#[test]
fn days_of_the_same_minute_take_away_spikes_and_a_split_gives_them_back() {
    let rules = rules();
    let quiet = Told { volume: 10, open: 100, close: 101, flag: 0 };
    let mut bars = BTreeMap::new();
    for (ts_us, session) in minutes(sessions(MONDAY_US, 7, DAY_US)).into_iter().take(7 * 40) {
        let (number, minute) = ((session.open_us - MONDAY_US) / DAY_US, (ts_us - session.open_us) / MINUTE_US);
        let volume = match (number, minute) {
            (4, 2) => 101,
            (12.., 2 | 4) => 100,
            _ => 10,
        };
        let level = if number >= 30 { 200 } else { 100 };
        bars.insert(ts_us, (bar(ts_us, Told { volume, ..quiet }, level), session));
    }
    let held = in_time(&bars, &rules).held;
    assert_eq!(held, expected(&bars));
    let at = |number: i64, minute: i64| held.contains_key(&(MONDAY_US + number * DAY_US + minute * MINUTE_US));
    assert!(at(4, 2), "of four days it is the first");
    assert!(
        (12..28).all(|number| !at(number, 2)),
        "more was traded on the fifth day, until its week is the fourth before"
    );
    assert!(at(28, 2) && at(12, 4) && at(13, 4));
    assert!(at(30, 2) && at(39, 2));
}
