//! Calculated values in the digits that people should read.

/// Digits of a calculated value: people should read 358.01, not 358.01000000000005.
const DIGITS: usize = 12;

/// The powers of ten from 1e-4 to 1e15: the n-th from the end brings the n-th range's [`DIGITS`] before the point.
const TENS: [f64; 20] =
    [1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// How many of them begin a range of values that are rounded by a product and a quotient.
const RANGES: usize = DIGITS + 4;

/// The product is off by less than 1e-4, which matters only this close to a tie.
const NEAR_TIE: f64 = 1e-3;

/// The double nearest to the value's first 12 digits, ties of the exact value to even; a value that is not finite stays.
///
/// O(1): a whole number divided by a power of ten up to 1e22 is the double nearest to its digits. Very large and very
/// small values, and those beside a tie, take the long way through text.
#[must_use]
pub(crate) fn in_12_digits(value: f64) -> f64 {
    let size = value.abs();
    let range = TENS[..RANGES].partition_point(|ten| *ten <= size);
    if range == 0 || size >= TENS[RANGES] || size.is_nan() {
        return by_text(value);
    }
    let scale = TENS[TENS.len() - range];
    let digits = value * scale;
    if (digits - digits.floor() - 0.5).abs() < NEAR_TIE {
        return by_text(value);
    }
    digits.round_ties_even() / scale
}

#[cold]
fn by_text(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    format!("{value:.*e}", DIGITS - 1).parse().expect("a float that was just written")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_lies_halfway_goes_to_the_even_digit() {
        assert_eq!(in_12_digits(358.010_000_000_000_05), 358.01);
        assert_eq!(in_12_digits(100_000_000_000.5), 100_000_000_000.0);
        assert_eq!(in_12_digits(100_000_000_001.5), 100_000_000_002.0);
        assert_eq!(in_12_digits(-0.0).to_bits(), (-0.0_f64).to_bits());
        assert!(in_12_digits(f64::NAN).is_nan());
    }

    proptest! {
        #[test]
        fn twelve_digits_are_those_of_the_exact_value(value in any::<f64>(), tame in -1e6..1e6_f64) {
            for value in [value, tame] {
                prop_assert_eq!(in_12_digits(value).to_bits(), by_text(value).to_bits());
            }
        }
    }
}
