//! Numbers of up to eight bytes, many at once.
#![expect(clippy::inline_always, reason = "inlined into code for the processor that it runs on")]
#![expect(clippy::needless_range_loop, reason = "loops over lanes that the compiler turns into vectors")]

use crate::block::LANES;
use crate::number::ZEROS;

/// One field of many objects: its number in each of them, as far as it has been read.
#[derive(Clone, Debug)]
pub(crate) struct Eights {
    /// The text of each number, its first byte lowest: digits, points and slashes. What follows it does not matter.
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

    /// Takes texts that were found elsewhere.
    #[inline(always)]
    pub(crate) fn set_texts(&mut self, words: [u64; LANES], lens: [u64; LANES]) {
        (self.words, self.lens) = (words, lens);
    }

    /// Forgets all numbers.
    #[inline(always)]
    pub(crate) fn clear(&mut self) {
        self.lens = [0; LANES];
        self.known = [f64::NAN; LANES];
        self.values = [f64::NAN; LANES];
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
    pub(crate) fn convert(&mut self, digits: impl Digits, bad: &mut [u64; LANES]) {
        let (mut wholes, mut points, mut doubtful) = ([0; LANES], [0; LANES], 0);
        for lane in 0..LANES {
            let (word, len) = (self.words[lane], self.lens[lane]);
            // Right-aligned: the zeros that come before the number change nothing.
            let digits = (word ^ ZEROS) << (64_u64.wrapping_sub(len << 3) & 63);
            // 1 in the byte of the point, or of a slash, which alone of what may stand here is odd; 0 if there is none.
            let point = digits >> 4 & u64::from_le_bytes([1; 8]);
            let others = point & point.wrapping_sub(1) | digits & point | equal(point, 1 << 56);
            bad[lane] |= others & !equal(len, 0);
            // The sign of the difference: a number that does not begin with 1 to 9.
            doubtful |= (word & 0xff).wrapping_sub(b'1'.into());
            // The digits behind the point move down into its place: that is ten times as much.
            let below = point.wrapping_sub(1);
            wholes[lane] = digits & below | digits >> 8 & !below;
            points[lane] = point;
        }
        digits.to_wholes(&mut wholes);
        for lane in 0..LANES {
            let number = (double(wholes[lane]) / divisor(points[lane])).to_bits();
            let (value, used) = (self.known[lane].to_bits(), !equal(self.lens[lane], 0));
            self.values[lane] = f64::from_bits(value & !used | number & used);
        }
        if doubtful >> 63 != 0 {
            self.check_starts(bad);
        }
    }

    /// `bad` gets a bit set for numbers that are no price, or no count below 2⁵².
    #[inline(always)]
    pub(crate) fn check(&self, is_price: bool, bad: &mut [u64; LANES]) {
        if is_price {
            for lane in 0..LANES {
                bad[lane] |= equal(self.values[lane].to_bits(), 0);
            }
        } else {
            for lane in 0..LANES {
                let count = self.values[lane];
                let used = !equal(count.to_bits(), f64::NAN.to_bits());
                let rounded = (count + TWO_52) - TWO_52;
                // Numbers have no sign: the difference has one if the count is the larger one.
                let is_large = !(count.to_bits().wrapping_sub(TWO_52.to_bits())) >> 63;
                bad[lane] |= used & (count.to_bits() ^ rounded.to_bits() | is_large);
            }
        }
    }

    /// `bad` gets a bit set for numbers that begin with a point, or with a zero that is not all before it.
    #[inline(always)]
    fn check_starts(&self, bad: &mut [u64; LANES]) {
        for lane in 0..LANES {
            let (word, len) = (self.words[lane], self.lens[lane]);
            let (first, second) = (word & 0xff, word >> 8 & 0xff);
            let is_alone = equal(len, 1) | equal(second, b'.'.into());
            let zero_first = equal(first, b'0'.into()) & !is_alone;
            bad[lane] |= (zero_first | equal(first, b'.'.into())) & !equal(len, 0);
        }
    }
}

/// How eight digits become a number: what differs from processor to processor.
pub(crate) trait Digits: Copy {
    /// Each word from eight digits, the first lowest, to the number that they write.
    fn to_wholes(self, words: &mut [u64; LANES]);
}

/// On any processor.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Digits for Portable {
    #[inline(always)]
    fn to_wholes(self, words: &mut [u64; LANES]) {
        for word in words {
            let pairs = (*word << 3).wrapping_add(*word << 1).wrapping_add(*word >> 8) & 0x00ff_00ff_00ff_00ff;
            let hundreds = (pairs << 6).wrapping_add(pairs << 5).wrapping_add(pairs << 2);
            *word = joined(hundreds.wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff);
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Digits for pulp::x86::V3 {
    #[inline(always)]
    fn to_wholes(self, words: &mut [u64; LANES]) {
        let (tens, hundreds) = (self.avx._mm256_set1_epi16(0x010a), self.avx._mm256_set1_epi32(0x0001_0064));
        for four in words.chunks_exact_mut(4) {
            let [a, b, c, d] = *four else { return };
            let pairs = self.avx2._mm256_maddubs_epi16(pulp::cast([a, b, c, d]), tens);
            let fours: [u64; 4] = pulp::cast(self.avx2._mm256_madd_epi16(pairs, hundreds));
            four.copy_from_slice(&fours.map(joined));
        }
    }
}

/// Two numbers of four digits, the first in the lower half, as one.
#[inline(always)]
fn joined(fours: u64) -> u64 {
    (fours & 0xffff_ffff).wrapping_mul(10_000).wrapping_add(fours >> 32)
}

/// From here on doubles have no fraction bits.
pub(crate) const TWO_52: f64 = 4_503_599_627_370_496.0;

/// All ones if `a` is `b`, else 0.
#[inline(always)]
pub(crate) fn equal(a: u64, b: u64) -> u64 {
    u64::from(a == b).wrapping_neg()
}

/// `whole`, below 2⁵², as a double: in operations that come many at a time.
#[inline(always)]
fn double(whole: u64) -> f64 {
    f64::from_bits(whole | TWO_52.to_bits()) - TWO_52
}

/// 10 to the power of the bytes from that on in which `point` has a 1; 1 if there is none.
#[inline(always)]
fn divisor(point: u64) -> f64 {
    // One factor for each bit of the number of bytes: all products are exact.
    let factor = |bytes: u64, power: f64| {
        let without = equal(point & bytes, 0);
        f64::from_bits(without & 1_f64.to_bits() | !without & power.to_bits())
    };
    factor(0x0100_0100_0100_0100, 1e1) * factor(0x0001_0100_0001_0100, 1e2) * factor(0x0000_0001_0101_0100, 1e4)
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
        eights.convert(Portable, &mut bad);
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
