//! Cups, divergences and harmonic shapes that were planted are found where they were planted, and no further off than
//! their rules allow.

mod planted;
mod rows;

use planted::{Leg, after_rise, assert_once, fired, path};
use rows::Row;
use tickstockpl_kernel::indicator::Seed;
use tickstockpl_kernel::indicator::macd::Macd;
use tickstockpl_kernel::indicator::rsi::Rsi;

/// Upside down, at 512 less each price.
fn mirrored(rows: &[Row]) -> Vec<Row> {
    rows.iter().map(|&(o, h, l, c, v)| (512.0 - o, 512.0 - l, 512.0 - h, 512.0 - c, v)).collect()
}

/// How often a pattern fires.
fn count(id: &str, rows: &[Row]) -> usize {
    fired(id, rows).len()
}

/// The last bar is this one.
fn ended(mut rows: Vec<Row>, (high, low, close): (f64, f64, f64)) -> Vec<Row> {
    let open = rows.last().map_or(close, |row| row.3);
    rows.push((open, high, low, close, 100));
    rows
}

/// A cup from 120 to 120 with a low of 100, 10 bars on either side, and a handle of 8.
const CUP: [Leg; 4] = [(100.0, 10), (120.0, 10), (112.0, 4), (124.0, 6)];

/// Rims at 120 and `rim`, the bottom after so many bars and before so many, a handle 8 deep.
fn cup(down: u32, up: u32, rim: f64) -> Vec<Row> {
    after_rise(&[(100.0, down), (rim, up), (rim - 8.0, 4), (rim + 4.0, 6)])
}

#[test]
fn a_cup_with_a_handle_is_left_by_a_close_above_its_right_rim() {
    let points = [(15, 120.0), (25, 100.0), (35, 120.0), (39, 112.0), (44, 122.0)];
    assert_once("cup_and_handle", &after_rise(&CUP), 1, &points, 112.0, Some(140.0));
    let points = points.map(|(bar, price)| (bar, 512.0 - price));
    assert_once("inverse_cup_and_handle", &mirrored(&after_rise(&CUP)), -1, &points, 400.0, Some(372.0));
}

#[test]
fn a_cup_lasts_twenty_bars_and_its_bottom_is_in_the_middle() {
    assert_eq!([cup(10, 10, 120.0), cup(10, 9, 120.0)].map(|rows| count("cup_and_handle", &rows)), [1, 0]);
    // 0.3 and 0.7 of 20 bars
    assert_eq!([cup(6, 14, 120.0), cup(5, 15, 120.0)].map(|rows| count("cup_and_handle", &rows)), [1, 0]);
    assert_eq!([cup(14, 6, 120.0), cup(15, 5, 120.0)].map(|rows| count("cup_and_handle", &rows)), [1, 0]);
}

#[test]
fn rims_are_level_within_0_15_of_the_depth() {
    // 0.15 of 20 is 3; of 17.5 it is 2.625, and of 17.25 it is 2.59
    assert_eq!([123.0, 123.25].map(|rim| count("cup_and_handle", &cup(10, 10, rim))), [1, 0]);
    assert_eq!([117.5, 117.25].map(|rim| count("cup_and_handle", &cup(10, 10, rim))), [1, 0]);
}

#[test]
fn a_cup_is_four_average_ranges_deep() {
    // the last bar's range of 44 or 45 makes a 4.98 or 5.05, and the cup is 20 deep
    let rows = after_rise(&CUP[..3]);
    let last = |range: f64| ended(rows.clone(), (112.0 + range, 112.0, 121.0));
    assert_eq!([44.0, 45.0].map(|range| count("cup_and_handle", &last(range))), [1, 0]);
}

#[test]
fn a_handle_gives_back_at_most_half_of_the_depth() {
    let handle = |low| after_rise(&[(100.0, 20), (120.0, 20), (low, 5), (124.0, 7)]);
    assert_eq!([110.0, 109.75].map(|low| count("cup_and_handle", &handle(low))), [1, 0]);
}

#[test]
fn a_handle_is_shown_after_a_tenth_of_the_cup_and_over_after_half_of_it() {
    // 60 bars: the low is shown two bars after it, six after the rim or five
    let shown = |down| after_rise(&[(100.0, 30), (120.0, 30), (112.0, down), (124.0, 6)]);
    let bars = |rows: &[Row]| fired("cup_and_handle", rows).iter().map(|one| one.bar).collect::<Vec<_>>();
    assert_eq!([4, 3].map(|down| bars(&shown(down))), [vec![84], vec![]]);
    // 20 bars: a close above the rim ten bars after it
    let waiting = |bars| after_rise(&[(100.0, 10), (120.0, 10), (112.0, 4), (119.0, 3), (119.0, bars), (122.0, 1)]);
    assert_eq!([2, 3].map(|bars| count("cup_and_handle", &waiting(bars))), [1, 0]);
}

#[test]
fn a_cup_is_over_after_a_close_below_its_handle() {
    let dips = |low| after_rise(&[(100.0, 20), (120.0, 20), (112.0, 4), (119.0, 4), (low, 2), (122.0, 3)]);
    assert_eq!([112.0, 111.75].map(|low| count("cup_and_handle", &dips(low))), [1, 0]);
}

#[test]
fn up_to_seven_swings_lie_within_a_cup() {
    let waves = |lows: &[f64]| {
        let within = lows.iter().flat_map(|&low| [(low, 5), (low + 9.0, 5)]).collect::<Vec<_>>();
        let rest = [(120.0, 9), (112.0, 4), (124.0, 6)];
        after_rise(&[&[(108.0, 2)], &within[..within.len() - 1], &rest].concat())
    };
    let points = [(15, 120.0), (42, 100.0), (61, 120.0), (65, 112.0), (70, 122.0)];
    assert_once("cup_and_handle", &waves(&[103.0, 102.0, 100.0, 103.0]), 1, &points, 112.0, Some(140.0));
    assert_eq!(count("cup_and_handle", &waves(&[103.0, 102.0, 100.0, 102.0, 103.0])), 0);
    // of two lows the older
    let drawn = fired("cup_and_handle", &waves(&[103.0, 100.0, 100.0, 103.0]))[0].points.clone();
    assert_eq!(drawn[1], (32, 100.0));
}

#[test]
fn a_cup_begins_with_the_newest_high_that_its_right_rim_is_level_with() {
    let twice = |high| after_rise(&[(100.0, 13), (high, 8), (101.0, 8), (120.0, 10), (112.0, 4), (124.0, 6)]);
    let points = [(15, 120.0), (28, 100.0), (54, 120.0), (58, 112.0), (63, 122.0)];
    assert_once("cup_and_handle", &twice(117.0), 1, &points, 112.0, Some(140.0));
    // 2 are within 0.15 of 17, and 18 bars are no cup
    assert_eq!(count("cup_and_handle", &twice(118.0)), 0);
}

fn closes(rows: &[Row]) -> Vec<f64> {
    rows.iter().map(|row| row.3).collect()
}

/// RSI 14 less 50.
fn rsi(rows: &[Row]) -> Vec<f64> {
    let rsi = Rsi::new(14, Seed::First).and_then(|rsi| rsi.batch(&closes(rows))).expect("finite closes");
    rsi.iter().map(|rsi| rsi - 50.0).collect()
}

/// Histograms of MACD, in price.
fn histogram(rows: &[Row]) -> Vec<f64> {
    Macd::new(12, 26, 9, Seed::First).and_then(|macd| macd.batch(&closes(rows))).expect("finite closes").histogram
}

/// a at each bar of a path, where each bar opens at the close before it.
fn average_ranges(rows: &[Row]) -> Vec<f64> {
    let mut mean = 0.0;
    let ranges = rows.iter().map(|row| row.1 - row.2);
    let grow = |(seen, range): (u32, f64)| {
        mean += (range - mean) / f64::from(seen.min(14));
        mean
    };
    (1..).zip(ranges).map(grow).collect()
}

/// Two highs, the first of them after 40 bars or more, and a fall after the second.
struct Tops {
    rows: Vec<Row>,
    /// Their bars.
    at: [usize; 2],
}

impl Tops {
    /// Legs to the first high, to the low between, to the second high.
    fn new(legs: [&[Leg]; 3]) -> Self {
        let bars = legs.map(|legs| legs.iter().map(|&(_, bars)| bars as usize).sum::<usize>());
        let top = legs[2].last().map_or(0.0, |&(top, _)| top);
        let rows = path(150.0, &[&legs.concat()[..], &[(top - 20.0, 10)]].concat());
        Self { rows, at: [bars[0], bars.iter().sum()] }
    }

    /// From `low` to 120, down to 104, and up to `top` in steps each of which goes back by `back`.
    fn stepped(low: f64, fall: u32, steps: u32, back: f64, top: f64) -> Self {
        let step = (top - 1.0 - back - 104.0) / f64::from(steps);
        let rise = (1..=steps).map(|n| 104.0 + step * f64::from(n)).flat_map(|after| [(after + back, 1), (after, 1)]);
        Self::new([&[(low, 30), (120.0, 10)], &[(104.0, fall)], &rise.chain([(top, 1)]).collect::<Vec<_>>()])
    }

    /// By how much price, first reading and drop are beyond what a divergence asks of them.
    fn excess(&self, id: &str) -> [f64; 3] {
        let [older, newer] = self.at;
        let (tops, ranges) = (self.at.map(|at| self.rows[at].1), average_ranges(&self.rows));
        let shown =
            (newer + 1..ranges.len()).find(|&at| tops[1] - self.rows[at].2 >= 3.0 * ranges[at]).expect("a fall");
        let atr = ranges[shown];
        let (readings, unit, least, step) = if id == "rsi_divergence" {
            (rsi(&self.rows), 1.0, 10.0, 5.0)
        } else {
            (histogram(&self.rows), atr, 0.2, 0.2)
        };
        let [before, now] = [older, newer].map(|at| readings[at] / unit);
        [tops[1] - tops[0] - 0.3 * atr, before - least, before - now - step]
    }
}

/// Of tops that go from `from` to `to` it is there from where the condition holds that they are to decide, and the one
/// before is as near to that.
#[track_caller]
fn assert_threshold(id: &str, condition: usize, (from, to): (f64, f64), near: f64, tops: impl Fn(f64) -> Tops) {
    let mut nearest = [f64::INFINITY; 2];
    for part in 0..=400 {
        let tops = tops(from + (to - from) * f64::from(part) / 400.0);
        let excess = tops.excess(id);
        assert!((0..3).all(|other| other == condition || excess[other] > 0.0), "{id} {part} {excess:?}");
        let is_beyond = excess[condition] >= 0.0;
        assert_eq!(count(id, &tops.rows), usize::from(is_beyond), "{id} {part} {excess:?}");
        let side = &mut nearest[usize::from(is_beyond)];
        *side = side.min(excess[condition].abs());
    }
    assert!(nearest.iter().all(|nearest| *nearest < near), "{id} {nearest:?}");
}

/// It is seen once, on the last of these points, its stop a tenth of a beyond `beyond`.
#[track_caller]
fn assert_seen(id: &str, rows: &[Row], direction: i32, points: &[(usize, f64)], beyond: f64, target: f64) {
    let all = fired(id, rows);
    let stop = all.first().map_or(0.0, |one| beyond - f64::from(direction) * 0.1 * one.atr);
    assert_once(id, rows, direction, points, stop, Some(target));
}

#[test]
fn a_divergence_is_a_further_swing_with_less_behind_it_and_is_seen_with_its_pivot() {
    let Tops { rows, .. } = Tops::stepped(80.0, 8, 12, 3.0, 122.0);
    let points = [(40, 120.0), (48, 104.0), (73, 122.0), (78, 112.0)];
    for id in ["rsi_divergence", "macd_divergence"] {
        assert_seen(id, &rows, -1, &points, 122.0, 104.0);
        let points = points.map(|(bar, price)| (bar, 512.0 - price));
        assert_seen(id, &mirrored(&rows), 1, &points, 390.0, 408.0);
    }
}

#[test]
fn a_divergence_of_rsi_is_a_drop_of_five_points_from_sixty() {
    assert_threshold("rsi_divergence", 1, (90.0, 100.2), 0.1, |low| Tops::stepped(low, 8, 24, 5.0, 122.0));
    assert_threshold("rsi_divergence", 2, (85.0, 98.0), 0.1, |low| Tops::stepped(low, 8, 12, 3.0, 122.0));
}

#[test]
fn a_divergence_of_macd_is_a_drop_of_a_fifth_of_a_from_a_fifth_of_a() {
    let first = |q: f64, bars| [(90.0, 20), (q, 14), (120.0, bars)];
    let crawl = [(119.0, 6), (121.0, 20)];
    assert_threshold("macd_divergence", 1, (116.0, 117.45), 0.1, |q| Tops::new([&first(q, 20), &[(104.0, 8)], &crawl]));
    let steep = [(121.0, 4)];
    assert_threshold("macd_divergence", 2, (112.0, 119.0), 0.1, |q| Tops::new([&first(q, 12), &[(104.0, 8)], &steep]));
}

#[test]
fn a_divergence_goes_further_by_three_tenths_of_a() {
    for id in ["rsi_divergence", "macd_divergence"] {
        assert_threshold(id, 0, (120.25, 121.75), 0.01, |top| Tops::stepped(80.0, 8, 12, 3.0, top));
    }
}

#[test]
fn swings_that_diverge_are_five_to_sixty_bars_apart() {
    let near = |bars| Tops::new([&[(60.0, 30), (120.0, 10)], &[(102.0, 2)], &[(122.5, bars)]]);
    let far = |fall| Tops::stepped(80.0, fall, 25, 3.0, 122.0);
    for (tops, apart, expected) in [(near(3), 5, 1), (near(2), 4, 0), (far(9), 60, 1), (far(10), 61, 0)] {
        assert_eq!(tops.at[1] - tops.at[0], apart);
        for id in ["rsi_divergence", "macd_divergence"] {
            assert!(tops.excess(id).iter().all(|&excess| excess > 0.0), "{id} {apart} {:?}", tops.excess(id));
            assert_eq!(count(id, &tops.rows), expected, "{id} {apart}");
        }
    }
}

/// X at 200, A at 300, and B, C and D by AB/XA, BC/AB and AD/XA, 2 or so a bar.
fn harmonic([ab, bc, ad]: [f64; 3]) -> Vec<Row> {
    let (a, b, d) = (300.0, 300.0 - 100.0 * ab, 300.0 - 100.0 * ad);
    let c = b + bc * (a - b);
    let leg = |from: f64, to: f64| (to, ((to - from).abs() / 2.0).round() as u32);
    path(210.0, &[(200.0, 5), leg(200.0, a), leg(a, b), leg(b, c), leg(c, d), (d + 20.0, 10)])
}

const SHAPES: [&str; 4] = ["gartley", "bat", "butterfly", "crab"];

/// Those that fire.
fn shapes([ab, bc, ad]: [f64; 3]) -> Vec<&'static str> {
    let rows = harmonic([ab, bc, ad]);
    SHAPES.into_iter().filter(|id| count(id, &rows) > 0).collect()
}

#[test]
fn harmonic_shapes_are_told_by_their_ratios_and_seen_with_their_last_pivot() {
    for (id, ratios, [b, c, d], last, beyond) in [
        ("gartley", [0.625, 0.6, 0.78125], [(86, 237.5), (105, 275.0), (132, 221.875)], (135, 227.875), 200.0),
        ("bat", [0.4375, 0.6, 0.875], [(77, 256.25), (90, 282.5), (125, 212.5)], (129, 220.5), 200.0),
        ("butterfly", [0.78125, 0.6, 1.40625], [(94, 221.875), (117, 268.75), (172, 159.375)], (175, 165.375), 159.375),
        ("crab", [0.5, 0.6, 1.625], [(80, 250.0), (95, 280.0), (166, 137.5)], (170, 145.5), 137.5),
    ] {
        let (rows, points) = (harmonic(ratios), [(5, 200.0), (55, 300.0), b, c, d, last]);
        assert_seen(id, &rows, 1, &points, beyond, d.1 + 0.618 * (300.0 - d.1));
        assert_eq!(shapes(ratios), [id]);
        let (rows, points) = (mirrored(&rows), points.map(|(bar, price)| (bar, 512.0 - price)));
        assert_seen(id, &rows, -1, &points, 512.0 - beyond, 512.0 - (d.1 + 0.618 * (300.0 - d.1)));
    }
}

#[test]
fn each_ratio_of_a_harmonic_shape_may_be_off_by_a_twentieth() {
    let bc = (0.382, 0.886);
    for (id, typical, ranges) in [
        ("gartley", [0.618, 0.6, 0.786], [(0.618, 0.618), bc, (0.786, 0.786)]),
        ("bat", [0.44, 0.6, 0.886], [(0.382, 0.5), bc, (0.886, 0.886)]),
        ("butterfly", [0.786, 0.6, 1.4], [(0.786, 0.786), bc, (1.27, 1.618)]),
        ("crab", [0.5, 0.6, 1.618], [(0.382, 0.618), bc, (1.618, 1.618)]),
    ] {
        for (ratio, (least, most)) in ranges.into_iter().enumerate() {
            let with = |value: f64| {
                let mut ratios = typical;
                ratios[ratio] = value;
                shapes(ratios).contains(&id)
            };
            let hair = 0.001;
            let inside = [least - 0.05 + hair, most + 0.05 - hair].map(with);
            let outside = [least - 0.05 - hair, most + 0.05 + hair].map(with);
            assert_eq!((inside, outside), ([true; 2], [false; 2]), "{id} {ratio}");
        }
    }
}

#[test]
fn the_closer_its_ratios_the_better_a_harmonic_shape() {
    let confidence = |ab| fired("gartley", &harmonic([ab, 0.6, 0.786])).first().map(|one| one.found.confidence);
    let [exact, near, far] = [0.618, 0.638, 0.658].map(|ab| confidence(ab).expect("a gartley"));
    // the cube roots of 0.6 and of 0.2
    assert!((exact - 1.0).abs() < 1e-9 && (near - 0.921_716).abs() < 1e-6 && (far - 0.792_402).abs() < 1e-6);
}
