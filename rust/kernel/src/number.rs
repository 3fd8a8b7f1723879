//! Digits to numbers, each exactly the double nearest to what is written.

use crate::json::{Scanner, Syntax, Value};
use crate::sixteen::Sixteen;

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
        if token.digits <= 19 {
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
        loop {
            let word = word(self.bytes.get(self.at..).unwrap_or_default());
            if stops(word ^ ZEROS) != 0 {
                break;
            }
            token.mantissa = token.mantissa.wrapping_mul(100_000_000).wrapping_add(made_of(word ^ ZEROS));
            token.digits += 8;
            self.at += 8;
        }
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

/// `mantissa · 10^exponent`, rounded once; `None` where that takes more than a division.
///
/// Beyond 2⁵³ the quotient has at least 60 bits and its last one stands for all that is cut off, so the conversion
/// rounds as the infinite quotient would.
#[inline]
fn scaled(mantissa: u64, exponent: i64) -> Option<f64> {
    const TWO_64: f64 = 18_446_744_073_709_551_616.0;
    let places = exponent.unsigned_abs();
    if mantissa <= 1 << 53 {
        let ten = TENS.get(usize::try_from(places).ok()?)?;
        let value = mantissa as f64;
        return Some(if exponent < 0 { value / ten } else { value * ten });
    }
    if !(-17..0).contains(&exponent) {
        return None;
    }
    let shifted = u128::from(mantissa) << 64;
    let ten = u128::from(10_u64.pow(places as u32));
    let quotient = shifted / ten;
    let inexact = quotient.wrapping_mul(ten) != shifted;
    Some((quotient | u128::from(inexact)) as f64 / TWO_64)
}

/// The first 8 bytes of `rest` as a number, the first lowest; zeros, which are in no JSON, beyond its end.
#[inline]
fn word(rest: &[u8]) -> u64 {
    if let Some(word) = rest.first_chunk() {
        return u64::from_le_bytes(*word);
    }
    rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// An unsigned number: `mantissa / 10^places`, of 19 digits at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal {
    mantissa: u64,
    places: u32,
}

impl Decimal {
    /// The nearest double, if a division gives it.
    pub(crate) fn value(self) -> Option<f64> {
        if self.mantissa <= 1 << 53 {
            let ten = TENS.get(self.places as usize)?;
            return Some(self.mantissa as i64 as f64 / ten);
        }
        scaled(self.mantissa, -i64::from(self.places))
    }

    /// The number that `rest`, whose first bytes are `text`, starts with, and its length.
    ///
    /// `None` for what has a sign; an exponent is left in what follows.
    pub(crate) fn read(text: Sixteen, rest: &[u8]) -> Option<(Self, u32)> {
        let len = text.number_len();
        // Right-aligned: the zeros that come before it change nothing.
        let before = 128_u32.wrapping_sub(8 * len);
        let digits = (text.wide() ^ u128::from_le_bytes([b'0'; 16])).wrapping_shl(before);
        let halves = [digits as u64, (digits >> 64) as u64].map(stops);
        let stops = u128::from(halves[0]) | u128::from(halves[1]) << 64;
        let point = stops.trailing_zeros() & 0x78;
        let is_usual = (1..16).contains(&len)
            && stops != 0
            && stops & stops.wrapping_sub(1) == 0
            && digits.wrapping_shr(point) as u8 == b'.' ^ b'0'
            && point > before
            && point < 120
            && text.word() as u8 != b'0';
        if !is_usual {
            return Self::longest(rest);
        }
        // The digits before the point move up into its place.
        let behind = u128::MAX.wrapping_shl(point);
        let joined = digits & behind << 8 | (digits & !behind) << 8;
        let mantissa = made_of(joined as u64) * 100_000_000 + made_of((joined >> 64) as u64);
        Some((Self { mantissa, places: 15 - point / 8 }, len))
    }

    /// The same for any length, such as prices to the last digit of a double.
    fn longest(rest: &[u8]) -> Option<(Self, u32)> {
        let mut scanner = Scanner { bytes: rest, at: 0 };
        let token = scanner.number_token().ok()??;
        let places = u32::try_from(-token.exponent).ok()?;
        if token.negative || token.digits > 19 || token.whole != (places == 0) {
            return None;
        }
        Some((Self { mantissa: token.mantissa, places }, scanner.at as u32))
    }
}

/// Eight times the digit 0.
pub(crate) const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// The high bit of each of the 8 bytes that is above 9; behind the first that is not ASCII a 9 may have it too.
#[inline]
fn stops(digits: u64) -> u64 {
    (digits.wrapping_add(u64::from_le_bytes([0x76; 8])) | digits) & u64::from_le_bytes([0x80; 8])
}

/// The number that 8 digits make, the highest in the lowest byte.
///
/// Source: Lemire, Quickly parsing eight digits (2018).
#[inline]
fn made_of(digits: u64) -> u64 {
    let pairs = digits.wrapping_mul(1 + (10 << 8)) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(1 + (100 << 16)) >> 16 & 0x0000_ffff_0000_ffff;
    fours.wrapping_mul(1 + (10_000 << 32)) >> 32
}
