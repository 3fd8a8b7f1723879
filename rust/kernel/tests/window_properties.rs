//! The window is the last N of the bars that were pushed and not taken back.

use proptest::prelude::*;
use std::collections::VecDeque;
use tickstockpl_kernel::window::{SPARE, Window, WindowBar};

/// A bar that is recognisable in every column.
fn bar(number: i64) -> WindowBar {
    let price = number as f64;
    WindowBar {
        ts_us: number * 60_000_000,
        open: price + 0.1,
        high: price + 0.4,
        low: price,
        close: price + 0.2,
        volume: number * 100,
        quality: (number % 16) as u8,
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push(usize),
    Rewind(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1_usize..40).prop_map(Step::Push),
        2 => (0_usize..=SPARE).prop_map(Step::Rewind),
        1 => (0_usize..300).prop_map(Step::Rewind),
    ];
    prop::collection::vec(step, 1..60)
}

/// The same contract over a deque that drops what the ring would have overwritten.
struct Oracle {
    bars: usize,
    held: VecDeque<WindowBar>,
    dropped: usize,
}

impl Oracle {
    fn push(&mut self, bar: WindowBar) {
        self.held.push_back(bar);
        if self.held.len() > self.bars + SPARE {
            self.held.pop_front();
            self.dropped += 1;
        }
    }

    fn rewind(&mut self, k: usize) -> bool {
        let Some(left) = self.held.len().checked_sub(k) else {
            return false;
        };
        if left < self.bars && self.dropped > 0 {
            return false;
        }
        self.held.truncate(left);
        true
    }

    fn window(&self) -> Vec<WindowBar> {
        let skip = self.held.len().saturating_sub(self.bars);
        self.held.iter().skip(skip).copied().collect()
    }
}

proptest! {
    #[test]
    fn window_equals_a_deque_under_any_pushes_and_rewinds(bars in 0_usize..60, steps in steps()) {
        let mut window = Window::new(bars);
        let mut oracle = Oracle { bars, held: VecDeque::new(), dropped: 0 };
        let mut number = 0;
        for step in steps {
            match step {
                Step::Push(count) => for _ in 0..count {
                    number += 1;
                    window.push(bar(number));
                    oracle.push(bar(number));
                },
                Step::Rewind(k) => prop_assert_eq!(window.rewind(k), oracle.rewind(k)),
            }
            let expected = oracle.window();
            prop_assert_eq!(window.len(), expected.len());
            prop_assert_eq!(window.is_empty(), expected.is_empty());
            prop_assert_eq!(window.iter().collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(window.iter().next_back(), window.bar(0));
            for back in 0..=bars {
                let from_the_end = expected.iter().rev().nth(back).copied();
                prop_assert_eq!(window.bar(back), from_the_end);
            }
        }
        prop_assert_eq!(window.bars(), bars);
    }

    #[test]
    fn up_to_spare_bars_can_be_taken_back_and_pushed_again(
        bars in 1_usize..250, before in 0_usize..600, k in 0_usize..=SPARE
    ) {
        let mut window = Window::new(bars);
        (0..before as i64).for_each(|number| window.push(bar(number)));
        let earlier: Vec<_> = window.iter().collect();
        (0..k as i64).for_each(|number| window.push(bar(1_000 + number)));
        let later: Vec<_> = window.iter().collect();

        prop_assert!(window.rewind(k));
        prop_assert_eq!(window.iter().collect::<Vec<_>>(), earlier);
        (0..k as i64).for_each(|number| window.push(bar(1_000 + number)));
        prop_assert_eq!(window.iter().collect::<Vec<_>>(), later);
    }

    #[test]
    fn mean_volume_is_the_mean_of_the_named_bars(
        volumes in prop::collection::vec(0_i64..=1 << 53, 0..80), bars in 1_usize..50, skip in 0_usize..60, n in 0_usize..60
    ) {
        let mut window = Window::new(bars);
        for &volume in &volumes {
            window.push(WindowBar { volume, ..bar(1) });
        }
        let newest_first: Vec<_> = volumes.iter().rev().take(bars).copied().collect();
        let named = newest_first.get(skip..skip + n).filter(|named| !named.is_empty());
        let mean = named.map(|named| named.iter().map(|&v| i128::from(v)).sum::<i128>() as f64 / n as f64);
        prop_assert_eq!(window.mean_volume(skip, n), mean);
    }
}

#[test]
fn more_than_was_pushed_cannot_be_taken_back() {
    let mut window = Window::new(10);
    (0..3).for_each(|number| window.push(bar(number)));
    assert!(!window.rewind(4));
    assert_eq!(window.len(), 3);
    assert!(window.rewind(3));
    assert!(window.is_empty());
    assert_eq!(window.bar(0), None);
}

#[test]
fn a_second_rewind_that_would_leave_a_hole_changes_nothing() {
    let mut window = Window::new(10);
    (0..100).for_each(|number| window.push(bar(number)));
    assert!(window.rewind(SPARE));
    assert!(!window.rewind(1));
    assert_eq!(window.bar(0), Some(bar(99 - SPARE as i64)));
    assert_eq!(window.len(), 10);
}

#[test]
fn sums_of_the_largest_volumes_do_not_overflow() {
    let mut window = Window::new(10);
    (0..10).for_each(|_| {
        window.push(WindowBar { volume: i64::MAX, ..bar(1) });
    });
    assert_eq!(window.mean_volume(0, 10), Some(i64::MAX as f64));
    assert_eq!(window.mean_volume(usize::MAX, 2), None);
}

#[test]
fn body_shadows_and_range_are_those_of_the_definition() {
    let bar = WindowBar { open: 10.5, high: 12.0, low: 9.0, close: 11.25, ..bar(1) };
    assert_eq!((bar.body(), bar.range()), (0.75, 3.0));
    assert_eq!((bar.upper(), bar.lower()), (0.75, 1.5));
    assert_eq!((bar.top(), bar.bottom()), (11.25, 10.5));
    assert!(bar.is_bullish() && !bar.is_bearish());
    let flat = WindowBar { close: 10.5, ..bar };
    assert!(!flat.is_bullish() && !flat.is_bearish());
}

#[test]
fn only_gap_and_partial_start_make_a_bar_incomplete() {
    for quality in 0..16 {
        let complete = WindowBar { quality, ..bar(1) }.is_complete();
        assert_eq!(complete, [0, 4, 8, 12].contains(&quality), "quality {quality}");
    }
}
