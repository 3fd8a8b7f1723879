//! A price that runs up and down in turns, so that it swings in every timeframe, told by trades of which some come late.

/// A trade.
#[derive(Clone, Copy)]
pub(crate) struct Trade {
    /// When it comes, µs after the first.
    pub(crate) now_us: i64,
    /// When it was, µs after the first.
    pub(crate) at_us: i64,
    pub(crate) cents: i64,
}

/// So many trades, some 20 s apart; one in 12 is up to `late_s` late, and off the price by up to a quarter.
pub(crate) fn trades(seed: u64, count: usize, late_s: i64) -> Vec<Trade> {
    let mut draw = Draw(seed);
    let (mut now_us, mut cents, mut drift) = (0, 10_000, 3);
    let trade = |_| {
        now_us += draw.below(40) * 1_000_000;
        if draw.below(60) == 0 {
            drift = -drift;
        }
        cents = (cents + drift + draw.below(13) - 6).max(5_000);
        let is_late = draw.below(12) == 0;
        let late_us = if is_late { draw.below(late_s) * 1_000_000 } else { 0 };
        let off = if is_late { draw.below(51) - 25 } else { 0 };
        Trade { now_us, at_us: (now_us - late_us).max(0), cents: cents + off }
    };
    (0..count).map(trade).collect()
}

/// Source: Steele, Lea & Flood (2014), Fast splittable pseudorandom number generators.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ word >> 31) % end as u64) as i64
    }
}
