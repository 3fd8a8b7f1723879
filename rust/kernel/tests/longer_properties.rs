//! Longer bars, and the patterns on them, are those of the minutes in order of time, whatever came late and whoever traded
//! seldom.

mod walk;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tickstockpl_kernel::bar::Bar;
use tickstockpl_kernel::calendar::Calendar;
use tickstockpl_kernel::channel::Lateness;
use tickstockpl_kernel::detections::Told;
use tickstockpl_kernel::engine::Engine;
use tickstockpl_kernel::output::Output;
use tickstockpl_kernel::pattern::PATTERNS;
use tickstockpl_kernel::rollup::{Rolled, Rollup};
use tickstockpl_kernel::session::Sessions;
use tickstockpl_kernel::settings::Settings;
use tickstockpl_kernel::symbol::SymbolId;
use tickstockpl_kernel::time::{DAY_US, HOUR_US, MINUTE_US, SECOND_US};
use tickstockpl_kernel::timeframe::{Align, Grid, Timeframe};
use tickstockpl_kernel::window::Window;

/// Monday 2026-03-02, 14:30 UTC.
const OPEN_US: i64 = 1_772_461_800_000_000;
const TIMEFRAMES: [Timeframe; 4] = [Timeframe::Min5, Timeframe::Min15, Timeframe::Daily, Timeframe::Weekly];

/// An hour and seven minutes a day.
fn sessions() -> Sessions {
    let day = |day: i64| (OPEN_US + day * DAY_US, OPEN_US + day * DAY_US + HOUR_US + 7 * MINUTE_US);
    Sessions::new(&(0..12).map(day).collect::<Vec<_>>()).expect("they ascend")
}

fn engine() -> Engine {
    engine_of(sessions(), &TIMEFRAMES)
}

/// Minutes, and these longer timeframes.
fn engine_of(sessions: Sessions, longer: &[Timeframe]) -> Engine {
    Engine::new(Settings {
        channels: 1,
        lateness: Lateness { a_us: 2 * SECOND_US, t_us: 2 * SECOND_US },
        revise_us: 900 * SECOND_US,
        window_bars: 60,
        symbols: 10,
        price_scale: Some(2),
        patterns: None,
        rules: Vec::new(),
        seq_counts: false,
        volume_checked: false,
        calendar: Calendar { window: sessions, simulated: Sessions::default(), regular: None },
        timeframes: [&[Timeframe::Min1], longer].concat(),
        align: Align::Session,
        watch: None,
        rsi_bounds: (30.0, 70.0),
        benchmark: None,
    })
    .expect("these settings are in range")
}

/// A trade: seconds after the one before, symbol, seconds it comes late, cents.
type Trade = (i64, u8, i64, i64);

fn trades() -> impl Strategy<Value = Vec<Trade>> {
    let pace = prop_oneof![30 => 1i64..40, 6 => 40i64..400, 1 => 80_000i64..90_000];
    let late = prop_oneof![20 => Just(0i64), 4 => 1i64..90, 3 => 90i64..850];
    let symbol = prop_oneof![8 => Just(0u8), 3 => Just(1u8), 1 => Just(2u8)];
    proptest::collection::vec((pace, symbol, late, 9_950i64..10_050), 1..900)
}

/// What an engine has said so far: of each bar the last.
#[derive(Default)]
struct Said {
    minutes: BTreeMap<(String, i64), Bar>,
    longer: BTreeMap<(String, Timeframe, i64), Rolled>,
    events: BTreeSet<(String, u8, i64, i32, i32)>,
}

impl Said {
    fn take(&mut self, engine: &Engine, output: &Output) {
        let name = |id| engine.symbol_name(id).to_owned();
        for (id, row) in &output.bars {
            self.minutes.insert((name(*id), row.bar.ts_us), row.bar);
        }
        for (id, longer) in &output.longer {
            let Rolled { timeframe, bar, .. } = longer.rolled;
            self.longer.insert((name(*id), timeframe, bar.ts_us), longer.rolled);
        }
        for (id, found) in output.detections.rows() {
            let event = (name(id), found.timeframe, found.ts_us, found.pattern, found.direction);
            if found.held {
                assert!(self.events.insert(event.clone()), "{event:?} is told again");
            } else {
                assert!(self.events.remove(&event), "{event:?} was not told");
            }
        }
    }
}

fn live(trades: &[Trade]) -> Said {
    let (mut engine, mut said, mut now_us) = (engine(), Said::default(), OPEN_US);
    for (number, &(pace, symbol, late, cents)) in trades.iter().enumerate() {
        now_us += pace * SECOND_US;
        // The last one comes in time: a bar that time alone has ended is over by no minute.
        let late = if number + 1 == trades.len() { 0 } else { late };
        let seconds = (now_us - late * SECOND_US) / SECOND_US;
        let price = cents as f64 / 100.0;
        let raw =
            format!(r#"{{"ticker":"S{symbol}","price":{price},"volume":7,"timestamp":{seconds},"event_type":"T"}}"#);
        let output = engine.ingest([(0, raw.as_bytes())], now_us).expect("there is such a channel");
        said.take(&engine, &output);
        let output = engine.advance(now_us);
        said.take(&engine, &output);
    }
    let output = engine.flush();
    said.take(&engine, &output);
    said
}

/// The bars of minutes in order, as far as their buckets are over by the end of the newest.
fn rolled(minutes: &BTreeMap<(String, i64), Bar>) -> BTreeMap<(String, Timeframe, i64), Rolled> {
    let (sessions, mut all) = (sessions(), BTreeMap::new());
    let grid = Grid::new(&sessions, Sessions::default(), Align::Session).expect("they are near");
    let end_us = minutes.keys().map(|(_, ts_us)| ts_us + MINUTE_US).max().unwrap_or(i64::MIN);
    let names: BTreeSet<&String> = minutes.keys().map(|(name, _)| name).collect();
    for name in names {
        for timeframe in TIMEFRAMES {
            let mut rollup = Rollup::new(timeframe);
            let mut closed = Vec::new();
            for ((_, ts_us), bar) in minutes.iter().filter(|((of, _), _)| of == name) {
                let Some(session) = sessions.at(*ts_us) else { continue };
                rollup.push(bar, session, &grid, |rolled| closed.push(rolled)).expect("minutes in order are taken");
            }
            closed.extend(rollup.close_up_to(end_us));
            all.extend(closed.into_iter().map(|rolled| ((name.clone(), timeframe, rolled.bar.ts_us), rolled)));
        }
    }
    all
}

/// Each to the bit.
fn shown(all: &BTreeMap<(String, Timeframe, i64), Rolled>) -> Vec<String> {
    all.iter().map(|(key, rolled)| format!("{key:?} {rolled:?}")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn longer_bars_and_what_is_found_on_them_are_those_of_minutes_in_order(trades in trades()) {
        let said = live(&trades);
        prop_assert_eq!(shown(&said.longer), shown(&rolled(&said.minutes)));
        let mut again = engine();
        let mut in_order: Vec<_> = said.minutes.iter().collect();
        in_order.sort_by_key(|((_, ts_us), _)| *ts_us);
        let mut told = Said::default();
        let bars = in_order.iter().map(|((name, _), bar)| (name.as_bytes(), **bar));
        let (output, taken) = again.replay(bars, true);
        prop_assert_eq!(taken, in_order.len());
        told.take(&again, &output);
        // A minute that came when its place in the window was gone has its row alone, live; and in order it has a place.
        prop_assert_eq!(said.events, told.events);
    }
}

/// Two sessions of six hours, and a day that is seen from within none.
fn long_sessions() -> Sessions {
    let day = |day: i64| (OPEN_US + day * DAY_US, OPEN_US + day * DAY_US + 6 * HOUR_US);
    Sessions::new(&[day(0), day(1)]).expect("they ascend")
}

#[test]
fn timeframes_agree_as_they_do_on_minutes_in_order_whatever_came_late() {
    let agreement = PATTERNS.iter().position(|pattern| pattern.id() == "agreement").expect("there is one") as i32;
    let longer = [Timeframe::Min5, Timeframe::Min15, Timeframe::Hour1];
    let (mut agreed, mut withdrawn) = (BTreeMap::new(), 0);
    for seed in 0..20 {
        let (mut engine, mut said) = (engine_of(long_sessions(), &longer), Said::default());
        for trade in walk::trades(seed, 2_100, 850) {
            // A night lies between the first 900 and the others.
            let night_us = if trade.now_us > 5 * HOUR_US { DAY_US - 6 * HOUR_US } else { 0 };
            let now_us = OPEN_US + trade.now_us + night_us;
            let at_us = now_us - (trade.now_us - trade.at_us);
            let (price, seconds) = (trade.cents as f64 / 100.0, at_us / SECOND_US);
            let raw = format!(r#"{{"ticker":"S","price":{price},"volume":7,"timestamp":{seconds},"event_type":"T"}}"#);
            let output = engine.ingest([(0, raw.as_bytes())], now_us).expect("there is such a channel");
            let gone = |found: &(SymbolId, Told<'_>)| !found.1.held && found.1.pattern == agreement;
            withdrawn += output.detections.rows().filter(gone).count();
            said.take(&engine, &output);
        }
        let output = engine.flush();
        said.take(&engine, &output);
        let mut again = engine_of(long_sessions(), &longer);
        let bars = said.minutes.iter().map(|((name, _), bar)| (name.as_bytes(), *bar));
        let (output, taken) = again.replay(bars, true);
        assert_eq!(taken, said.minutes.len());
        let mut told = Said::default();
        told.take(&again, &output);
        assert_eq!(said.events, told.events, "seed {seed}");
        for (_, timeframe, _, _, direction) in said.events.iter().filter(|(_, _, _, pattern, _)| *pattern == agreement)
        {
            *agreed.entry((*timeframe, *direction)).or_insert(0) += 1;
        }
    }
    let both = |timeframe: Timeframe| [-1, 1].map(|way| agreed.get(&(timeframe as u8, way)).copied().unwrap_or(0) > 0);
    assert_eq!([both(Timeframe::Min1), both(Timeframe::Min5)], [[true; 2]; 2], "{agreed:?}");
    assert_eq!(both(Timeframe::Hour1), [false; 2], "nothing is longer");
    assert!(withdrawn > 3, "late ticks took {withdrawn} away");
}

#[test]
fn a_thin_symbol_is_closed_by_the_time_of_the_feed_and_by_nothing_before_it() {
    let mut engine = engine();
    let mut tick = |ticker: &str, at_s: i64| {
        let us = OPEN_US + at_s * SECOND_US;
        let raw =
            format!(r#"{{"ticker":"{ticker}","price":10,"volume":7,"timestamp":{},"event_type":"T"}}"#, us / SECOND_US);
        let output = engine.ingest([(0, raw.as_bytes())], us).expect("there is such a channel");
        output
            .longer
            .iter()
            .map(|(id, each)| (engine.symbol_name(*id).to_owned(), each.rolled.timeframe))
            .collect::<Vec<_>>()
    };
    assert_eq!(tick("THIN", 30), vec![]);
    assert_eq!(tick("BUSY", 4 * 60), vec![]);
    assert_eq!(tick("BUSY", 5 * 60 + 1), vec![], "ticks of its last minute may still come");
    assert_eq!(
        tick("BUSY", 5 * 60 + 2),
        vec![("BUSY".to_owned(), Timeframe::Min5), ("THIN".to_owned(), Timeframe::Min5)]
    );
    assert_eq!(
        tick("BUSY", 15 * 60 + 2),
        vec![
            ("THIN".to_owned(), Timeframe::Min15),
            ("BUSY".to_owned(), Timeframe::Min5),
            ("BUSY".to_owned(), Timeframe::Min15)
        ]
    );
}

#[test]
fn bars_that_were_over_when_history_ended_are_no_news() {
    let (mut engine, bar) = (engine(), |minute: i64| Bar {
        ts_us: OPEN_US + minute * MINUTE_US,
        open: 10.0,
        high: 10.5,
        low: 9.5,
        close: 10.1,
        volume: 5,
        vwap: 10.0,
        trades: 1,
        quality: 0,
        open_us: -1,
        close_us: -1,
    });
    for minute in [0, 1, 6] {
        assert!(engine.warm(b"A", &bar(minute), 0, tickstockpl_kernel::offset::Span::NONE));
    }
    assert!(engine.warm(b"THIN", &bar(2), 0, tickstockpl_kernel::offset::Span::NONE));
    let at = |minute: i64| (OPEN_US + minute * MINUTE_US + 5 * SECOND_US) / SECOND_US;
    let raw = format!(r#"{{"ticker":"A","price":10,"volume":7,"timestamp":{},"event_type":"T"}}"#, at(16));
    let output = engine.ingest([(0, raw.as_bytes())], at(16) * SECOND_US).expect("there is such a channel");
    let starts: Vec<_> =
        output.longer.iter().map(|(id, each)| (engine.symbol_name(*id), each.rolled.bar.ts_us - OPEN_US)).collect();
    assert_eq!(
        starts,
        [("A", 5 * MINUTE_US), ("A", 0), ("THIN", 0)],
        "what closed after the sixth minute: 5 to 10, and 15 minutes"
    );
    assert_eq!(engine.window(b"THIN", Timeframe::Min5).map(Window::len), Some(1), "0 to 5 is in the window");
}

#[test]
fn bars_fed_whole_stand_before_those_of_minutes_and_days_go_into_their_week() {
    let bar = |ts_us: i64, high: f64| Bar {
        ts_us,
        open: 10.0,
        high,
        low: 9.5,
        close: 10.1,
        volume: 5,
        vwap: 10.0,
        trades: 1,
        quality: 0,
        open_us: -1,
        close_us: -1,
    };
    let mut engine = engine();
    let today_us = OPEN_US + DAY_US;
    engine.longer_from(today_us);
    assert!(engine.warm_longer(b"A", Timeframe::Daily, &bar(OPEN_US, 99.0)));
    assert!(!engine.warm_longer(b"A", Timeframe::Daily, &bar(OPEN_US, 99.0)), "it is there already");
    assert!(engine.warm_longer(b"A", Timeframe::Min5, &bar(OPEN_US + HOUR_US, 12.0)));
    assert!(
        !engine.warm_longer(b"A", Timeframe::Min5, &bar(OPEN_US + HOUR_US + MINUTE_US, 12.0)),
        "no bar starts there"
    );
    assert!(!engine.warm_longer(b"A", Timeframe::Min5, &bar(today_us, 12.0)), "minutes make this one");
    assert!(!engine.warm_longer(b"A", Timeframe::Hour1, &bar(OPEN_US, 12.0)), "nobody asked for hours");
    assert!(engine.warm(b"A", &bar(OPEN_US + HOUR_US, 50.0), 0, tickstockpl_kernel::offset::Span::NONE));
    for day in 1..5 {
        let (output, taken) = engine.replay([(&b"A"[..], bar(OPEN_US + day * DAY_US, 11.0))], false);
        assert_eq!(taken, 1);
        assert!(output.longer.iter().all(|(_, each)| each.rolled.timeframe != Timeframe::Weekly));
    }
    let (output, _) = engine.replay([(&b"A"[..], bar(OPEN_US + 7 * DAY_US, 11.0))], false);
    let week = output.longer.iter().find(|(_, each)| each.rolled.timeframe == Timeframe::Weekly);
    let week = week.map(|(_, each)| (each.rolled.bar.ts_us, each.rolled.bar.high, each.rolled.bar.volume));
    assert_eq!(week, Some((OPEN_US, 99.0, 25)), "of Monday's bar and four minutes");
    let window = engine.window(b"A", Timeframe::Min5).expect("it is on");
    assert_eq!(window.iter().map(|bar| bar.high).collect::<Vec<_>>(), [12.0, 11.0, 11.0, 11.0, 11.0]);
}
