//! What a follower says does not depend on how bars and events come to it.

use proptest::collection::vec;
use proptest::prelude::*;
use tickstockpl_kernel::calendar::Calendar;
use tickstockpl_kernel::event::{EventId, EventIds};
use tickstockpl_kernel::follower::Follower;
use tickstockpl_kernel::outcome::{Bar, End, Event, Levels, Outcome, Terms, Verdict};
use tickstockpl_kernel::session::Sessions;
use tickstockpl_kernel::time::MINUTE_US;
use tickstockpl_kernel::timeframe::Timeframe;

const HORIZON: u32 = 6;
const SESSION_MINUTES: i64 = 25;

fn terms() -> Terms {
    let sessions: Vec<_> = (0..4).map(|day| (day * 40 * MINUTE_US, (day * 40 + SESSION_MINUTES) * MINUTE_US)).collect();
    let window = Sessions::new(&sessions).unwrap();
    Terms {
        horizon: HORIZON,
        barrier: 1.0,
        interval_us: MINUTE_US,
        revise_us: 5 * MINUTE_US,
        calendar: Some(Calendar { window, simulated: Sessions::default(), regular: None }),
    }
}

/// A walk on whole prices, so that they tie with levels; minutes are missing.
fn bars() -> impl Strategy<Value = Vec<Bar>> {
    vec((any::<bool>(), -2..3_i32, 0..3_i32, 0..3_i32), 30..90).prop_map(|steps| {
        let mut close = 100;
        let bars = steps.iter().enumerate().filter_map(|(minute, &(is_there, step, up, down))| {
            close += step;
            is_there.then(|| Bar {
                ts_us: minute as i64 * MINUTE_US,
                high: f64::from(close + up),
                low: f64::from(close - down),
                close: f64::from(close),
            })
        });
        bars.collect()
    })
}

/// An event on some of the bars, each with an id of its own.
fn events(bars: &[Bar], picks: &[(prop::sample::Index, i32, i32, i32)]) -> Vec<Event> {
    let mut ids = EventIds::default();
    let event = |(at, &(index, direction, stop, target)): (usize, &(prop::sample::Index, i32, i32, i32))| {
        let bar = bars[index.index(bars.len())];
        Event {
            id: ids.of("A", Timeframe::Min1, bar.ts_us, "doji", "1", at as u32),
            ts_us: bar.ts_us,
            direction,
            close: bar.close,
            atr: f64::from((stop + target) % 4),
            levels: Levels {
                entry: bar.close,
                stop: if stop == 0 { f64::NAN } else { bar.close - f64::from(stop) },
                target: bar.close + f64::from(target),
            },
        }
    };
    picks.iter().enumerate().map(event).collect()
}

/// The last word on each event, by id.
fn last(told: Vec<Outcome>) -> Vec<Outcome> {
    let mut kept: Vec<Outcome> = Vec::new();
    for outcome in told {
        kept.retain(|other| other.id != outcome.id);
        kept.push(outcome);
    }
    kept.sort_by_key(|outcome| outcome.id.bytes());
    kept
}

/// In time, batch by batch; at each bar its own events come with it.
fn live(follower: &mut Follower, bars: &[Bar], events: &[Event]) -> Vec<Outcome> {
    let mut told = Vec::new();
    for bar in bars {
        let place = follower.place("A");
        events.iter().filter(|event| event.ts_us == bar.ts_us).for_each(|event| follower.begin(place, event));
        follower.bar(place, *bar);
        told.extend(follower.end_batch(|_, outcome| *outcome));
    }
    told
}

fn picks() -> impl Strategy<Value = Vec<(prop::sample::Index, i32, i32, i32)>> {
    vec((any::<prop::sample::Index>(), -1..2_i32, -3..4_i32, -4..5_i32), 0..30)
}

proptest! {
    #[test]
    fn a_restart_at_any_bar_says_the_same(bars in bars(), picks in picks(), at in any::<prop::sample::Index>()) {
        prop_assume!(!bars.is_empty());
        let events = events(&bars, &picks);
        let mut follower = Follower::new(terms());
        follower.loaded();
        let expected = last(live(&mut follower, &bars, &events));

        // killed after some bars, of which the last few come again; what is open is read while new ones come already
        let cut = at.index(bars.len());
        let before = &bars[..cut];
        let again = &bars[cut.saturating_sub(3)..];
        let mut first = Follower::new(terms());
        first.loaded();
        let mut told = live(&mut first, before, &events);
        let through: Vec<EventId> = told.iter().filter(|o| o.verdict != Verdict::Open).map(|o| o.id).collect();
        let open: Vec<Event> = events.iter().filter(|e| e.ts_us < again.first().map_or(i64::MAX, |bar| bar.ts_us))
            .filter(|event| !through.contains(&event.id)).copied().collect();
        let mut second = Follower::new(terms());
        let half = again.len() / 2;
        let unknown: Vec<Event> = events.iter().filter(|event| !through.contains(&event.id)).copied().collect();
        told.extend(live(&mut second, &again[..half], &unknown));
        let place = second.place("A");
        second.load(place, &open, before);
        second.loaded();
        told.extend(second.end_batch(|_, outcome| *outcome));
        told.extend(live(&mut second, &again[half..], &unknown));
        prop_assert_eq!(last(told), expected);
    }

    #[test]
    fn late_bars_and_events_are_judged_as_if_in_time(bars in bars(), picks in picks(), late in any::<prop::sample::Index>()) {
        prop_assume!(bars.len() > 3);
        let events = events(&bars, &picks);
        let late = late.index(bars.len() - 1);
        let missing = bars[late];
        // what was said before the late bar came stays said, so only events that it can still change are looked at
        let mut in_time = Follower::new(terms());
        in_time.loaded();
        let expected = last(live(&mut in_time, &bars, &events));
        let mut follower = Follower::new(terms());
        follower.loaded();
        let (before, after) = (&bars[..late], &bars[late + 1..late + 2]);
        let mut told = live(&mut follower, before, &events);
        told.extend(live(&mut follower, after, &[]));
        let said: Vec<EventId> = told.iter().map(|outcome| outcome.id).collect();
        let place = follower.place("A");
        for event in events.iter().filter(|e| e.ts_us == missing.ts_us || e.ts_us == after[0].ts_us) {
            follower.begin(place, event);
        }
        follower.bar(place, missing);
        told.extend(follower.end_batch(|_, outcome| *outcome));
        told.extend(live(&mut follower, &bars[late + 2..], &events));
        let (told, expected): (Vec<_>, Vec<_>) = (last(told), expected.into_iter().filter(|o| !said.contains(&o.id)).collect());
        let told: Vec<_> = told.into_iter().filter(|o| !said.contains(&o.id)).collect();
        prop_assert_eq!(told, expected);
    }
}

fn bar(minute: i64, high: f64, low: f64) -> Bar {
    Bar { ts_us: minute * MINUTE_US, high, low, close: low.midpoint(high) }
}

fn event(id: u32, minute: i64, stop: f64, target: f64) -> Event {
    Event {
        id: EventIds::default().of("A", Timeframe::Min1, minute * MINUTE_US, "doji", "1", id),
        ts_us: minute * MINUTE_US,
        direction: if target < stop { -1 } else { 1 },
        close: 100.0,
        atr: 1.0,
        levels: Levels { entry: 100.0, stop, target },
    }
}

/// What is said after each of these bars of an event on the minute before the first of them.
fn said(stop: f64, target: f64, bars: &[Bar]) -> Vec<Vec<(End, u32, f64, Verdict)>> {
    let mut follower = Follower::new(terms());
    follower.loaded();
    let place = follower.place("A");
    follower.begin(place, &event(0, bars[0].ts_us / MINUTE_US - 1, stop, target));
    let told = |outcome: &Outcome| (outcome.end, outcome.bars, outcome.price, outcome.verdict);
    let take = |bar: &Bar| {
        follower.bar(place, *bar);
        follower.end_batch(|_, outcome| told(outcome))
    };
    bars.iter().map(take).collect()
}

#[test]
fn a_target_is_said_at_once_and_its_verdict_when_it_is_known() {
    let bars = [bar(1, 100.4, 99.8), bar(2, 100.6, 100.0), bar(3, 100.5, 98.9)];
    let target = (End::Target, 2, 100.5);
    let (open, lost) = ((target.0, target.1, target.2, Verdict::Open), (target.0, target.1, target.2, Verdict::Lost));
    assert_eq!(said(99.5, 100.5, &bars), [vec![], vec![open], vec![lost]]);
}

#[test]
fn a_bar_that_touches_both_has_lost_and_what_touches_neither_expires() {
    assert_eq!(said(99.0, 101.0, &[bar(1, 101.0, 99.0)]), [[(End::Stop, 1, 99.0, Verdict::Lost)]]);
    assert_eq!(said(101.0, 98.0, &[bar(1, 100.5, 98.0)]), [[(End::Target, 1, 98.0, Verdict::Won)]]);
    let calm: Vec<_> = (1..=6).map(|minute| bar(minute, 100.5, 99.5)).collect();
    assert_eq!(said(99.0, 101.0, &calm)[5], [(End::Expired, 6, 100.0, Verdict::Unresolved)]);
    assert_eq!(said(f64::NAN, 101.0, &[bar(1, 101.0, 99.5)]), [vec![]], "without a stop it waits to the end");
}

#[test]
fn an_event_ends_with_its_session() {
    let last = SESSION_MINUTES - 1;
    let expired = |bars| vec![(End::Expired, bars, 100.0, Verdict::Unresolved)];
    assert_eq!(said(99.0, 101.0, &[bar(last, 100.5, 99.5)]), [expired(1)], "its last minute");
    let beyond = [bar(last - 1, 100.5, 99.5), bar(last + 3, 200.0, 100.0)];
    assert_eq!(said(99.0, 101.0, &beyond), [vec![], expired(1)], "a bar after it");
}

#[test]
fn a_symbol_that_trades_no_more_is_expired_once_its_session_cannot_be_revised() {
    let mut follower = Follower::new(terms());
    let (quiet, other) = (follower.place("Q"), follower.place("A"));
    follower.begin(quiet, &event(0, 20, 99.0, 101.0));
    for (minute, open) in [(25, 1), (28, 1), (29, 0)] {
        follower.bar(other, bar(minute, 100.0, 100.0));
        let said = follower.end_batch(|symbol, outcome| (symbol.to_owned(), outcome.end, outcome.bars, outcome.at_us));
        assert_eq!(follower.open(), open);
        let expected = (open == 0).then(|| ("Q".to_owned(), End::Expired, 0, 20 * MINUTE_US));
        assert_eq!(said, Vec::from_iter(expected));
    }
}

#[test]
fn nothing_becomes_of_an_event_that_was_withdrawn_and_none_is_begun_twice() {
    let mut follower = Follower::new(terms());
    let place = follower.place("A");
    let (one, two) = (event(0, 0, 99.0, 101.0), event(1, 0, 99.0, 101.0));
    for event in [&one, &two, &two] {
        follower.begin(place, event);
    }
    follower.withdraw(place, one.id);
    follower.bar(place, bar(1, 101.0, 100.0));
    assert_eq!(follower.end_batch(|_, outcome| outcome.id), [two.id]);
    assert_eq!(follower.open(), 0);
}
