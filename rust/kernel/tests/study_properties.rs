//! What holds for patterns that read a study, on any bars.

mod rows;

use proptest::prelude::*;
use rows::{Row, bar};
use tickstockpl_kernel::pattern::{Closing, Explained, PATTERNS, Pattern, SessionRange};
use tickstockpl_kernel::session::Session;
use tickstockpl_kernel::study::{Kernels, Study};
use tickstockpl_kernel::time::MINUTE_US;
use tickstockpl_kernel::window::Window;

/// A pattern that holds: on which bar, its id, which way, how well, and what draws it.
#[derive(Clone, Debug, PartialEq)]
struct Event {
    bar: usize,
    id: &'static str,
    direction: i32,
    confidence: f64,
    explained: Explained,
}

/// Bars of a session.
const SESSION_BARS: usize = 60;

/// All events of patterns that read a study, none of which rests.
fn events(rows: &[Row]) -> Vec<Event> {
    let kernels = Kernels::new().expect("periods within their ranges");
    let (mut window, mut study) = (Window::new(200), Study::default());
    let mut session = SessionRange::opened(Some(0));
    let mut events = Vec::new();
    for (number, &row) in rows.iter().enumerate() {
        let bar = bar(number, row);
        if number > 0 && number % SESSION_BARS == 0 {
            let close_us = bar.ts_us + SESSION_BARS as i64 * MINUTE_US;
            session = session.followed_by(Some(Session { open_us: bar.ts_us, close_us }), MINUTE_US);
        }
        window.push(bar);
        study.take_newest(&window, &kernels);
        let at = Closing::new(&window, &session, None, Some(&study));
        for pattern in PATTERNS.iter().filter(|pattern| pattern.needs_study()) {
            let Some(found) = pattern.detect(&at) else { continue };
            assert!(pattern.directions().contains(&found.direction), "{}", pattern.id());
            let explained = pattern.explain(&at, &found);
            let (id, direction, confidence) = (pattern.id(), found.direction as i32, found.confidence);
            events.push(Event { bar: number, id, direction, confidence, explained });
        }
        session.push(&bar);
    }
    events
}

/// Closes that walk, with runs in one direction so that swings come about, on a grid of 1/4 around 1,000.
fn walk() -> impl Strategy<Value = Vec<Row>> {
    let run = (1_usize..12, -6_i32..=6);
    let noise = (0_i32..4, 0_i32..4, -2_i32..=2, 0_i64..1_000);
    let runs = prop::collection::vec((run, prop::collection::vec(noise, 12)), 4..40);
    runs.prop_map(|runs| {
        let (mut rows, mut close) = (Vec::new(), 4_000);
        for ((bars, drift), noises) in runs {
            for (above, below, wobble, volume) in noises.into_iter().take(bars) {
                let open = close;
                close = (close + drift + wobble).clamp(1_000, 8_000);
                let price = |units: i32| f64::from(units) / 4.0;
                rows.push((
                    price(open),
                    price(open.max(close) + above),
                    price(open.min(close) - below),
                    price(close),
                    volume,
                ));
            }
        }
        rows
    })
}

/// Legs to and fro, each the one before it times a ratio of harmonic shapes, on the same grid.
fn swings() -> impl Strategy<Value = Vec<Row>> {
    let ratio = prop::sample::select(vec![0.382, 0.5, 0.618, 0.786, 0.886, 1.0, 1.272, 1.618, 2.618, 3.618]);
    (80_i32..400, prop::collection::vec((ratio, 3_i32..20, -2_i32..=2, 0_i64..1_000), 8..40)).prop_map(
        |(first, legs)| {
            let (mut rows, mut close, mut leg) = (Vec::new(), 4_000, f64::from(first));
            for (at, (ratio, bars, off, volume)) in legs.into_iter().enumerate() {
                leg = (leg * ratio).clamp(40.0, 800.0);
                let from = close;
                let to = (if at % 2 == 0 { from + leg as i32 } else { from - leg as i32 } + off).clamp(1_000, 8_000);
                for step in 1..=bars {
                    let open = close;
                    close = from + (to - from) * step / bars;
                    let price = |units: i32| f64::from(units) / 4.0;
                    rows.push((price(open), price(open.max(close)), price(open.min(close)), price(close), volume));
                }
            }
            rows
        },
    )
}

/// What a pattern is called in a mirror; `None` for averages and bands, which a mirror rounds otherwise.
fn image(id: &'static str) -> Option<&'static str> {
    let swapped = [
        ("new_high_20", "new_low_20"),
        ("trending_up", "trending_down"),
        ("double_top", "double_bottom"),
        ("triple_top", "triple_bottom"),
        ("head_shoulders", "inverse_head_shoulders"),
        ("asc_triangle", "desc_triangle"),
        ("rising_wedge", "falling_wedge"),
        ("channel_up", "channel_down"),
        ("bull_flag", "bear_flag"),
        ("bull_pennant", "bear_pennant"),
        ("v_top", "v_bottom"),
        ("higher_highs", "lower_lows"),
        ("cup_and_handle", "inverse_cup_and_handle"),
    ];
    let other = swapped.iter().find_map(|&(one, other)| match id {
        _ if id == one => Some(other),
        _ if id == other => Some(one),
        _ => None,
    });
    let rounded = id == "pivot_break"
        || ["_cross", "_divergence"].iter().any(|end| id.ends_with(end))
        || id.starts_with("rsi_")
        || id.contains("squeeze");
    other.or((!rounded && id != "ma_crossover" && id != "range_breakout").then_some(id))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn reflected_prices_give_the_mirror_images_at_the_same_bars(rows in prop_oneof![walk(), swings()]) {
        let reflect = |p: f64| 4_096.0 - p;
        let mirrored: Vec<Row> =
            rows.iter().map(|&(o, h, l, c, v)| (reflect(o), reflect(l), reflect(h), reflect(c), v)).collect();
        let mut seen: Vec<Event> = events(&rows).into_iter().filter(|event| image(event.id).is_some()).collect();
        for event in &mut seen {
            event.id = image(event.id).expect("an image");
            event.direction = -event.direction;
            event.explained.points.iter_mut().for_each(|(_, price)| *price = reflect(*price));
        }
        let mut reflected: Vec<Event> = events(&mirrored).into_iter().filter(|event| image(event.id).is_some()).collect();
        let order = |event: &Event| (event.bar, event.id, event.direction);
        seen.sort_by_key(order);
        reflected.sort_by_key(order);
        for (seen, reflected) in seen.iter().zip(&reflected) {
            prop_assert_eq!(seen, reflected);
        }
        prop_assert_eq!(seen.len(), reflected.len());
    }

    #[test]
    fn prices_scaled_by_a_power_of_two_change_nothing(rows in prop_oneof![walk(), swings()], power in -8_i32..8) {
        let scale = |p: f64| p * 2.0_f64.powi(power);
        let scaled: Vec<Row> =
            rows.iter().map(|&(o, h, l, c, v)| (scale(o), scale(h), scale(l), scale(c), v)).collect();
        let mut seen = events(&rows);
        for event in &mut seen {
            event.explained.points.iter_mut().for_each(|(_, price)| *price = scale(*price));
        }
        prop_assert_eq!(seen, events(&scaled));
    }

    #[test]
    fn later_bars_alter_nothing(rows in prop_oneof![walk(), swings()], keep in 0.0..1.0) {
        let kept = (rows.len() as f64 * keep) as usize;
        let all = events(&rows);
        let known: Vec<Event> = all.into_iter().filter(|event| event.bar < kept).collect();
        prop_assert_eq!(known, events(&rows[..kept]));
    }

    #[test]
    fn what_draws_a_pattern_lies_on_its_bars_in_order(rows in prop_oneof![walk(), swings()]) {
        for Event { bar, id, explained, .. } in events(&rows) {
            let places: Vec<usize> = explained.points.iter().map(|&(ts_us, _)| (ts_us / 60_000_000) as usize).collect();
            prop_assert!(places.is_sorted() && places.iter().all(|&place| place <= bar), "{id} {places:?}");
            for (&place, &(_, price)) in places.iter().zip(&explained.points) {
                let (_, high, low, close, _) = rows[place];
                prop_assert!([high, low, close].contains(&price), "{id}: {price} is no price of bar {place}");
            }
            prop_assert!(explained.margins.iter().all(|margin| (0.0..=1.0).contains(margin)), "{id}");
        }
    }
}

#[test]
fn every_pattern_that_reads_a_study_fires_on_seeded_walks() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut fired = std::collections::HashMap::<&str, u32>::new();
    for _ in 0..1_500 {
        for event in events(&walk().new_tree(&mut runner).expect("rows").current()) {
            *fired.entry(event.id).or_default() += 1;
        }
    }
    // No walk lasts for weeks, or is one of several timeframes.
    let can = |pattern: &&&dyn Pattern| pattern.id() != "weekly_breakout" && !pattern.is_of_others();
    for pattern in PATTERNS.iter().filter(|pattern| pattern.needs_study()).filter(can) {
        assert!(fired.contains_key(pattern.id()), "{} never fired", pattern.id());
    }
}
