//! Chart patterns that were planted are found where they were planted, with exactly their points.
//!
//! Prices go in straight legs, so that turning points are known; with steps of 2 a bar a is 2, and a leg of 6 confirms.

mod planted;
mod rows;

use planted::{Leg, after_rise, assert_once, fired, path};
use rows::Row;

#[test]
fn a_double_top_is_two_highs_and_a_close_below_the_low_between() {
    let rows = after_rise(&[(110.0, 5), (120.0, 5), (100.0, 10)]);
    let points = [(5, 100.0), (15, 120.0), (20, 110.0), (25, 120.0), (31, 108.0)];
    assert_once("double_top", &rows, -1, &points, 120.0, Some(100.0));
}

#[test]
fn highs_a_tenth_of_the_height_apart_are_a_double_top_and_further_apart_are_none() {
    let tops = |second| after_rise(&[(110.0, 5), (second, 5), (100.0, 10)]);
    assert_eq!(fired("double_top", &tops(121.0)).len(), 1);
    assert_eq!(fired("double_top", &tops(121.25)).len(), 0);
    assert_eq!(fired("double_top", &tops(119.25)).len(), 1);
    assert_eq!(fired("double_top", &tops(118.75)).len(), 0);
}

#[test]
fn a_double_top_is_over_once_a_close_is_above_it_or_its_time_has_passed() {
    let above = after_rise(&[(110.0, 5), (120.0, 5), (113.0, 4), (122.0, 5), (100.0, 11)]);
    assert!(fired("double_top", &above).iter().all(|one| one.points[1].0 != 15));
    // ten bars after the bar that showed it, as many as lie between the highs
    let waiting = |bars| after_rise(&[(110.0, 5), (120.0, 5), (112.0, 4), (112.0, bars), (104.0, 4)]);
    assert_eq!(fired("double_top", &waiting(6)).len(), 1);
    assert_eq!(fired("double_top", &waiting(9)).len(), 0);
}

#[test]
fn a_triple_top_is_three_highs_and_a_close_below_both_lows() {
    let rows = after_rise(&[(110.0, 5), (120.0, 5), (110.0, 5), (120.0, 5), (100.0, 10)]);
    let points = [(5, 100.0), (15, 120.0), (20, 110.0), (25, 120.0), (30, 110.0), (35, 120.0), (41, 108.0)];
    assert_once("triple_top", &rows, -1, &points, 120.0, Some(100.0));
}

#[test]
fn head_and_shoulders_end_with_a_close_below_the_neckline() {
    let rows = after_rise(&[(112.0, 4), (128.0, 8), (112.0, 8), (120.0, 4), (104.0, 8)]);
    let points = [(5, 100.0), (15, 120.0), (19, 112.0), (27, 128.0), (35, 112.0), (39, 120.0), (44, 110.0)];
    assert_once("head_shoulders", &rows, -1, &points, 120.0, Some(96.0));
}

#[test]
fn a_neckline_may_slope_and_a_close_on_it_is_no_break() {
    // through (19, 112) and (35, 115): 116.5 at bar 43
    let legs = |down| after_rise(&[(112.0, 4), (132.0, 10), (115.0, 6), (124.0, 4), (down, 4)]);
    assert_eq!(fired("head_shoulders", &legs(116.5)).len(), 0);
    let broken = legs(116.0);
    let all = fired("head_shoulders", &broken);
    assert_eq!(
        all.iter().map(|one| one.points[1..6].to_vec()).collect::<Vec<_>>(),
        [[(15, 120.0), (19, 112.0), (29, 132.0), (35, 115.0), (39, 124.0)]]
    );
}

#[test]
fn a_rectangle_is_left_on_either_side() {
    let sides = [(110.0, 5), (120.0, 5), (110.0, 5), (120.0, 5), (114.0, 3)];
    let touches = [(15, 120.0), (20, 110.0), (25, 120.0), (30, 110.0), (35, 120.0)];
    let up = after_rise(&[&sides[..], &[(130.0, 8)]].concat());
    assert_once("rectangle", &up, 1, &[&touches[..], &[(42, 122.0)]].concat(), 110.0, Some(130.0));
    let down = after_rise(&[&sides[..], &[(100.0, 7)]].concat());
    assert_once("rectangle", &down, -1, &[&touches[..], &[(41, 108.0)]].concat(), 120.0, Some(100.0));
}

#[test]
fn triangles_wedges_and_channels_are_told_by_their_lines() {
    // (first, low, second, low, third): the tops at bars 15, 25 and 35, the bottoms at 20 and 30
    for (id, [first, low_1, second, low_2, third]) in [
        ("asc_triangle", [120.0, 104.0, 120.0, 108.0, 120.0]),
        ("desc_triangle", [120.0, 104.0, 116.0, 104.0, 112.0]),
        ("sym_triangle", [120.0, 102.0, 118.0, 105.0, 116.0]),
        ("broadening", [120.0, 110.0, 122.0, 107.0, 124.0]),
        ("rising_wedge", [120.0, 106.0, 122.0, 111.0, 124.0]),
        ("falling_wedge", [120.0, 106.0, 115.0, 104.0, 110.0]),
        ("channel_up", [120.0, 108.0, 123.0, 111.0, 126.0]),
        ("channel_down", [120.0, 108.0, 117.0, 105.0, 114.0]),
    ] {
        let touches = [(15, first), (20, low_1), (25, second), (30, low_2), (35, third)];
        let legs: Vec<Leg> = touches[1..].iter().map(|&(_, price)| (price, 5)).collect();
        let rows = after_rise(&[&legs[..], &[(third - 40.0, 20)]].concat());
        let all = fired(id, &rows);
        let drawn: Vec<_> = all.iter().map(|one| one.points[..5].to_vec()).collect();
        assert_eq!(drawn, [touches], "{id}");
        assert_eq!(all[0].found.direction as i32, -1, "{id}");
    }
}

#[test]
fn a_flag_is_a_pole_and_a_pause_that_keeps_half_of_it_and_a_pennant_narrows() {
    let pole = path(116.0, &[(100.0, 16), (124.0, 6)]);
    let pause = |low: f64, last: Row| {
        let rows = [
            (118.5, 119.0, 117.0, 117.5, 100),
            (117.5, 118.0, 116.5, 117.0, 100),
            (117.0, 118.0, low, 117.0, 100),
            (117.0, 118.5, 116.5, 118.0, 100),
            last,
            (118.0, 121.0, 118.0, 120.5, 100),
        ];
        [&pole[..], &rows[..]].concat()
    };
    let (wide, narrow) = ((118.0, 119.0, 117.0, 118.5, 100), (118.0, 118.5, 117.8, 118.25, 100));
    let points = [(16, 100.0), (22, 124.0), (25, 116.0), (28, 120.5)];
    assert_once("bull_flag", &pause(116.0, wide), 1, &points, 116.0, Some(143.0));
    assert_once("bull_pennant", &pause(116.0, narrow), 1, &points, 116.0, Some(143.0));
    assert_eq!(fired("bull_flag", &pause(116.0, narrow)).len(), 0);
    // half of the pole is 12
    assert_eq!(fired("bull_flag", &pause(112.0, wide)).len(), 1);
    assert_eq!(fired("bull_flag", &pause(111.75, wide)).len(), 0);
}

#[test]
fn a_v_top_is_turned_as_steeply_as_it_was_made() {
    let rise = [(100.0, 16), (124.0, 6)];
    let rows = path(116.0, &[&rise[..], &[(100.0, 6)]].concat());
    // 0.618 of 24 is 14.8: closes of 120, 116, 112, 108
    assert_once("v_top", &rows, -1, &[(16, 100.0), (22, 124.0), (26, 108.0)], 124.0, Some(100.0));
    let slow = path(116.0, &[&rise[..], &[(100.0, 12)]].concat());
    assert_eq!(fired("v_top", &slow).len(), 0);
}

#[test]
fn a_trend_begins_with_a_second_higher_high_and_low_and_ends_with_a_close_below_its_last_low() {
    let rows = after_rise(&[(110.0, 5), (130.0, 10), (120.0, 5), (132.0, 6), (112.0, 10)]);
    // l 100, h 120, l 110, h 130: seen when the price is 6 below 130
    let begins = &fired("higher_highs", &rows);
    assert_eq!(
        begins.iter().map(|one| one.points[..4].to_vec()).collect::<Vec<_>>(),
        [[(5, 100.0), (15, 120.0), (20, 110.0), (30, 130.0)]]
    );
    assert_eq!(begins[0].bar, 33);
    let broken: Vec<_> = fired("break_of_structure", &rows).iter().map(|one| one.points.clone()).collect();
    assert_eq!(broken, [[(30, 130.0), (41, 132.0)]]);
    let turned: Vec<_> = fired("change_of_character", &rows).iter().map(|one| one.points.clone()).collect();
    assert_eq!(turned, [[(35, 120.0), (48, 118.0)]]);
}
