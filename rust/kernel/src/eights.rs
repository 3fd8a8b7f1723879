//! Numbers of up to eight bytes, many at once.
#![expect(clippy::inline_always, reason = "inlined into code for the processor that it runs on")]
#![expect(clippy::needless_range_loop, reason = "loops over lanes that the compiler turns into vectors")]

use crate::block::LANES;
use crate::number::ZEROS;

/// One field of many objects: its number in each of them, as far as it has been read.
#[derive(Clone, Debug)]
pub(crate) struct Eights {
    /// The text of each number, its first byte lowest; what follows it does not matter.
    pub(crate) words: [u64; LANES],
    /// The bytes of each text: 1 to 8, or 0 where there is none of such a length.
    pub(crate) lens: [u64; LANES],
    /// Numbers that were read otherwise, or NaN.
    pub(crate) known: [f64; LANES],
    /// All numbers; NaN where there is none.
    values: [f64; LANES],
}

impl Eights {
    pub(crate) const NONE: Self =
        Self { words: [0; LANES], lens: [0; LANES], known: [f64::NAN; LANES], values: [f64::NAN; LANES] };

    /// The number of one object; NaN if it has none.
    #[inline(always)]
    pub(crate) fn value(&self, lane: usize) -> f64 {
        self.values[lane]
    }

    /// All numbers.
    #[inline(always)]
    pub(crate) fn values(&self) -> &[f64; LANES] {
        &self.values
    }

    /// Takes numbers that were converted elsewhere.
    #[inline(always)]
    pub(crate) fn set_values(&mut self, values: [f64; LANES]) {
        self.values = values;
    }

    /// Forgets all numbers.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.lens = [0; LANES];
        self.known = [f64::NAN; LANES];
    }

    /// Forgets the number of one object.
    #[inline(always)]
    pub(crate) fn clear_one(&mut self, lane: usize) {
        self.lens[lane] = 0;
        self.known[lane] = f64::NAN;
    }

    /// Turns the texts into values, each the double nearest to what is written. `bad` gets a bit set for those that are
    /// no decimal number.
    ///
    /// Source: eight digits as Lemire (2018), Quickly parsing eight digits; one division as Clinger (1990).
    #[inline(always)]
    pub(crate) fn convert(&mut self, bad: &mut [u64; LANES]) {
        self.values = self.known;
        if self.lens == [0; LANES] {
            return;
        }
        for lane in 0..LANES {
            let (word, len) = (self.words[lane], self.lens[lane]);
            // Right-aligned: the zeros that come before the number change nothing.
            let before = 64_u64.wrapping_sub(len << 3) & 63;
            let digits = (word ^ ZEROS) << before;
            let stops = (digits.wrapping_add(u64::from_le_bytes([0x76; 8])) | digits) & u64::from_le_bytes([0x80; 8]);
            // 1 in the byte of the point; 0 if there is none.
            let point = stops >> 7;
            let whole = equal(point, 0);
            let others = stops & stops.wrapping_sub(1);
            let no_point = digits & (point << 8).wrapping_sub(point) ^ (point << 5).wrapping_sub(point << 1);
            let at_end = equal(point, 1 << 56) | (equal(point, 1 << before) & !whole);
            let zero_first = equal(word & 0xff, u64::from(b'0')) & !equal(point, 0x100 << before);
            let used = !equal(len, 0);
            // The digits before the point move up into its place.
            let below = point.wrapping_sub(1) & !whole;
            let joined = (digits & below) << 8 | digits & !(below << 8 | 0xff & !whole);
            let pairs = (joined << 3).wrapping_add(joined << 1).wrapping_add(joined >> 8) & 0x00ff_00ff_00ff_00ff;
            let hundreds = (pairs << 6).wrapping_add(pairs << 5).wrapping_add(pairs << 2);
            let fours = hundreds.wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
            let mantissa = (fours & 0xffff_ffff).wrapping_mul(10_000).wrapping_add(fours >> 32);
            let number = (double(mantissa) / divisor(point)).to_bits();
            let value = self.known[lane].to_bits();
            self.values[lane] = f64::from_bits(value & !used | number & used);
            bad[lane] |= (others | no_point | at_end | zero_first) & used;
        }
    }
}

impl Eights {
    /// `bad` gets a bit set for numbers that are no price.
    #[inline(always)]
    pub(crate) fn check_prices(&self, bad: &mut [u64; LANES]) {
        for (price, bad) in self.values.iter().zip(bad) {
            *bad |= equal(price.to_bits(), 0);
        }
    }

    /// `bad` gets a bit set for numbers that are no count, or one of 2⁵² or more.
    #[inline(always)]
    pub(crate) fn check_counts(&self, bad: &mut [u64; LANES]) {
        for (count, bad) in self.values.iter().zip(bad) {
            let used = !equal(count.to_bits(), f64::NAN.to_bits());
            let rounded = (count + TWO_52) - TWO_52;
            let is_large = u64::from(count.to_bits() >> 52 >= TWO_52.to_bits() >> 52);
            *bad |= used & (count.to_bits() ^ rounded.to_bits() | is_large);
        }
    }
}

/// From here on doubles have no fraction bits.
pub(crate) const TWO_52: f64 = 4_503_599_627_370_496.0;

/// All ones if `a` is `b`, else 0.
#[inline(always)]
fn equal(a: u64, b: u64) -> u64 {
    u64::from(a == b).wrapping_neg()
}

/// `whole`, below 2⁵², as a double: in operations that come many at a time.
#[inline(always)]
fn double(whole: u64) -> f64 {
    f64::from_bits(whole | TWO_52.to_bits()) - TWO_52
}

/// 10 to the power of the bytes above the one in which `point` has a 1; 1 if there is none.
#[inline(always)]
fn divisor(point: u64) -> f64 {
    // One factor for each bit of the number of bytes: all products are exact.
    let factor = |bytes: u64, power: f64| {
        let without = equal(point & bytes, 0);
        f64::from_bits(without & 1_f64.to_bits() | !without & power.to_bits())
    };
    factor(0x0001_0001_0001_0001, 1e1) * factor(0x0000_0101_0000_0101, 1e2) * factor(0x0000_0000_0101_0101, 1e4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn converted(text: &str) -> (f64, bool) {
        let mut eights = Eights::NONE;
        let mut word = [b'x'; 8];
        word[..text.len()].copy_from_slice(text.as_bytes());
        for lane in 0..LANES {
            eights.words[lane] = u64::from_le_bytes(word);
            eights.lens[lane] = text.len() as u64;
        }
        let mut bad = [0; LANES];
        eights.convert(&mut bad);
        assert!(bad.iter().all(|other| *other == bad[0]), "each lane is read alike");
        (eights.value(0), bad[0] != 0)
    }

    proptest! {
        #[test]
        fn digits_are_the_number_that_they_are_or_none(text in "[0-9./]{1,8}") {
            let is_number = {
                let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
                let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                digits(whole) && digits(fraction) && (whole == "0" || !whole.starts_with('0'))
            };
            let (value, is_bad) = converted(&text);
            prop_assert_eq!(is_bad, !is_number);
            if is_number {
                prop_assert_eq!(value.to_bits(), text.parse::<f64>().expect("a number").to_bits());
            }
        }
    }
}
