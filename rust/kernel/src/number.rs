//! Digits to numbers, each exactly the double nearest to what is written.

use crate::json::{Scanner, Syntax, Value};

impl Scanner<'_> {
    /// A number, exactly the double nearest to its digits.
    ///
    /// Source: Clinger (1990), How to read floating point numbers accurately: up to 2⁵³ and 10²² both are exact
    /// doubles, and one division or multiplication rounds once. Everything else goes to the standard library.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<Value, Syntax> {
        let start = self.at;
        let Some(token) = self.number_token()? else {
            return Ok(Value::Float(f64::NEG_INFINITY));
        };
        let whole = token.whole;
        if token.digits <= 18 && whole {
            let value = token.mantissa as i64;
            return Ok(Value::Int(if token.negative { -value } else { value }));
        }
        if token.digits <= 19 && token.mantissa <= 1 << 53 {
            if let Some(value) = scaled(token.mantissa, token.exponent) {
                return Ok(Value::Float(if token.negative { -value } else { value }));
            }
        }
        let text = self.bytes.get(start..self.at).and_then(|token| std::str::from_utf8(token).ok()).ok_or(Syntax)?;
        if whole {
            if let Ok(value) = text.parse() {
                return Ok(Value::Int(value));
            }
        }
        let value = text.parse().map_err(|_| Syntax)?;
        Ok(if whole { Value::Big(value) } else { Value::Float(value) })
    }

    /// The parts of a number; `None` for `-Infinity`.
    #[inline]
    pub(crate) fn number_token(&mut self) -> Result<Option<Token>, Syntax> {
        let mut token = Token { negative: self.peek() == b'-', mantissa: 0, digits: 0, exponent: 0, whole: true };
        self.at += usize::from(token.negative);
        match self.peek() {
            b'0' => {
                self.at += 1;
                token.digits = 1;
            }
            b'1'..=b'9' => self.digits(&mut token),
            b'I' if token.negative => return self.word(b"Infinity", Value::Other).map(|_| None),
            _ => return Err(Syntax),
        }
        if self.peek() == b'.' {
            self.at += 1;
            token.whole = false;
            let before = token.digits;
            self.digits(&mut token);
            let fraction = token.digits - before;
            if fraction == 0 {
                return Err(Syntax);
            }
            token.exponent = -i64::from(fraction);
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            token.whole = false;
            let negative = self.peek() == b'-';
            self.at += usize::from(matches!(self.peek(), b'-' | b'+'));
            let mut exponent = Token { negative, mantissa: 0, digits: 0, exponent: 0, whole: true };
            self.digits(&mut exponent);
            if exponent.digits == 0 {
                return Err(Syntax);
            }
            let size = if exponent.digits <= 9 { exponent.mantissa as i64 } else { 1 << 32 };
            token.exponent += if negative { -size } else { size };
        }
        Ok(Some(token))
    }

    #[inline]
    fn digits(&mut self, token: &mut Token) {
        while let digit @ 0..=9 = self.peek().wrapping_sub(b'0') {
            token.mantissa = token.mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            token.digits += 1;
            self.at += 1;
        }
    }
}

/// A number as digits: `mantissa · 10^exponent`; `mantissa` means nothing beyond 19 `digits`.
pub(crate) struct Token {
    negative: bool,
    mantissa: u64,
    digits: u32,
    exponent: i64,
    whole: bool,
}

const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// `mantissa · 10^exponent` rounded once, for a mantissa up to 2⁵³; `None` beyond 22 decimal places.
#[inline]
fn scaled(mantissa: u64, exponent: i64) -> Option<f64> {
    let ten = TENS.get(usize::try_from(exponent.unsigned_abs()).ok()?)?;
    let value = mantissa as f64;
    Some(if exponent < 0 { value / ten } else { value * ten })
}

/// The 8 bytes from `at` on, the first lowest; zeros, which are in no JSON, stand for what lies beyond the end.
#[inline]
pub(crate) fn word(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => last_word(bytes, at),
    }
}

#[inline]
fn last_word(bytes: &[u8], at: usize) -> u64 {
    let Some(last) = bytes.last_chunk() else {
        return bytes.iter().skip(at).rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
    };
    let beyond = (at + 8).saturating_sub(bytes.len());
    u64::from_le_bytes(*last).checked_shr(8 * beyond as u32).unwrap_or(0)
}

const ZEROS: u64 = 0x3030_3030_3030_3030;

/// How many of the 8 bytes, each xored with `0`, are digits before the first that is not.
#[inline]
fn digits_in(word: u64) -> u32 {
    ((word.wrapping_add(0x7676_7676_7676_7676) | word) & 0x8080_8080_8080_8080).trailing_zeros() / 8
}

/// The number that the first `count` (1 to 8) digits make.
///
/// Source: Lemire, Quickly parsing eight digits (2018).
#[inline]
fn made_of(word: u64, count: u32) -> u64 {
    // The digits move to the high end; the zeros below are leading zeros.
    let word = word << (64 - 8 * count);
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff
}

/// A number without sign and exponent from `at` on, and where it ends; `None` for any other and for what is rounded.
///
/// Whole numbers are given up to 2⁵³, so that each is the double. What stands behind the number is not looked at.
#[inline]
pub(crate) fn plain_number(bytes: &[u8], at: usize) -> Option<(f64, usize)> {
    let word = word(bytes, at);
    let digits = word ^ ZEROS;
    let before = digits_in(digits);
    if before == 0 || (word as u8 == b'0' && before > 1) {
        return None;
    }
    if before == 8 {
        return long_number(bytes, at);
    }
    if (word >> (8 * before)) as u8 != b'.' {
        return Some((made_of(digits, before) as i64 as f64, at + before as usize));
    }
    // The digits on both sides of the point, joined; the last byte is not a digit.
    let low = (1 << (8 * before)) - 1;
    let joined = digits & low | (digits >> 8) & !low | 0xff << 56;
    let both = digits_in(joined);
    let end = at + both as usize + 1;
    if both == 7 && bytes.get(end).is_some_and(u8::is_ascii_digit) {
        return long_number(bytes, at);
    }
    let ten = TENS[(both - before) as usize & 7];
    (both > before).then_some((made_of(joined, both) as i64 as f64 / ten, end))
}

/// The same for more than 8 bytes: stamps in seconds, prices to the last digit of a double.
#[inline]
fn long_number(bytes: &[u8], start: usize) -> Option<(f64, usize)> {
    let mut mantissa = 0;
    let mut at = digits_from(bytes, start, &mut mantissa);
    let whole = at - start;
    if bytes.get(at) != Some(&b'.') {
        return (whole <= 15).then_some((mantissa as i64 as f64, at));
    }
    let point = at;
    at = digits_from(bytes, point + 1, &mut mantissa);
    let places = at - point - 1;
    if places == 0 {
        return None;
    }
    if whole + places <= 19 && mantissa <= 1 << 53 {
        return Some((mantissa as i64 as f64 / TENS.get(places)?, at));
    }
    let text = std::str::from_utf8(bytes.get(start..at)?).ok()?;
    let number: f64 = text.parse().ok()?;
    number.is_finite().then_some((number, at))
}

/// Appends the digits from `at` on to the number; where they end. It means nothing beyond 19 digits.
#[inline]
fn digits_from(bytes: &[u8], mut at: usize, number: &mut u64) -> usize {
    loop {
        let digits = word(bytes, at) ^ ZEROS;
        let count = digits_in(digits);
        if count > 0 {
            let scale = WHOLE_TENS[count as usize & 15];
            *number = number.wrapping_mul(scale).wrapping_add(made_of(digits, count));
            at += count as usize;
        }
        if count < 8 {
            return at;
        }
    }
}

const WHOLE_TENS: [u64; 16] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 0, 0, 0, 0, 0, 0, 0];
