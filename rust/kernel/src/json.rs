//! Bytes to JSON tokens, in the grammar of Python's `json.loads`.
//!
//! Beyond RFC 8259 that grammar takes `NaN`, `Infinity`, `-Infinity` and lone surrogate escapes. The bytes must be known
//! to be UTF-8; a scanner never looks behind what it has read and builds no tree.

use crate::condition::Rights;

/// Containers that may be open at once.
pub(crate) const MAX_DEPTH: usize = 128;

/// The bytes are not JSON, or are nested too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Syntax;

/// The inside of a string, between its quotes: offsets into the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Has backslashes: `unescape` it before comparing.
    pub(crate) escaped: bool,
}

impl Text {
    pub(crate) fn raw(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

/// What a field of interest holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    /// No such key, or null.
    Absent,
    /// A number without fraction and exponent.
    Int(i64),
    /// The same, beyond `i64`; infinite beyond the doubles.
    Big(f64),
    /// Any other number, also NaN and infinities.
    Float(f64),
    Text(Text),
    /// The array of whole numbers in `conditions`.
    Rights(Rights),
    /// A boolean, an object, another array.
    Other,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Scanner<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next byte; 0, which no token starts with, at the end.
    #[inline]
    pub(crate) fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    pub(crate) fn space(&mut self) {
        self.at = space_end(self.bytes, self.at);
    }

    #[inline]
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Syntax> {
        if self.peek() != byte {
            return Err(Syntax);
        }
        self.at += 1;
        Ok(())
    }

    /// A key, its colon and the space around it.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<Text, Syntax> {
        let key = self.text()?;
        self.space();
        self.expect(b':')?;
        self.space();
        Ok(key)
    }

    #[inline]
    pub(crate) fn text(&mut self) -> Result<Text, Syntax> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = plain_end(self.bytes, self.at);
            match self.peek() {
                b'"' => {
                    let text = Text { start: start as u32, end: self.at as u32, escaped };
                    self.at += 1;
                    return Ok(text);
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(Syntax),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Syntax> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6).ok_or(Syntax)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(Syntax);
                }
                self.at += 6;
            }
            _ => return Err(Syntax),
        }
        Ok(())
    }

    /// Any value; `depth` containers are open around it.
    #[inline]
    pub(crate) fn value(&mut self, depth: usize) -> Result<Value, Syntax> {
        match self.peek() {
            b'"' => self.text().map(Value::Text),
            b'0'..=b'9' | b'-' => self.number(),
            b'n' => self.word(b"null", Value::Absent),
            b't' => self.word(b"true", Value::Other),
            b'f' => self.word(b"false", Value::Other),
            b'N' => self.word(b"NaN", Value::Float(f64::NAN)),
            b'I' => self.word(b"Infinity", Value::Float(f64::INFINITY)),
            b'{' | b'[' => self.skip_container(depth).map(|()| Value::Other),
            _ => Err(Syntax),
        }
    }

    pub(crate) fn word(&mut self, word: &[u8], value: Value) -> Result<Value, Syntax> {
        let end = self.at + word.len();
        if self.bytes.get(self.at..end) != Some(word) {
            return Err(Syntax);
        }
        self.at = end;
        Ok(value)
    }

    /// The value of `conditions`: `Rights` for an array of whole numbers.
    pub(crate) fn conditions(&mut self, depth: usize) -> Result<Value, Syntax> {
        if self.peek() != b'[' || depth >= MAX_DEPTH {
            return self.value(depth);
        }
        let start = self.at;
        self.at += 1;
        self.space();
        let mut rights = Rights::REGULAR_SALE;
        if self.peek() == b']' {
            self.at += 1;
            return Ok(Value::Rights(rights));
        }
        loop {
            match self.value(depth + 1)? {
                Value::Int(id) => rights = rights.with(id),
                Value::Big(_) => {}
                Value::Float(id) if id.is_finite() && id.fract() == 0.0 => {
                    rights = rights.with(id as i64);
                }
                _ => {
                    self.at = start;
                    return self.value(depth);
                }
            }
            self.space();
            match self.peek() {
                b',' => self.at += 1,
                b']' => break,
                _ => return Err(Syntax),
            }
            self.space();
        }
        self.at += 1;
        Ok(Value::Rights(rights))
    }

    /// A value that nobody reads, checked all the same.
    #[inline]
    pub(crate) fn skip(&mut self, depth: usize) -> Result<(), Syntax> {
        match self.peek() {
            b'0'..=b'9' | b'-' => self.number_token().map(|_| ()),
            _ => self.value(depth).map(|_| ()),
        }
    }

    /// An object or array, without recursion: one bit a level tells which.
    fn skip_container(&mut self, depth: usize) -> Result<(), Syntax> {
        let mut objects = 0_u128;
        let mut open = 0;
        loop {
            let byte = self.peek();
            if matches!(byte, b'{' | b'[') {
                if depth + open >= MAX_DEPTH {
                    return Err(Syntax);
                }
                let object = byte == b'{';
                objects = objects << 1 | u128::from(object);
                open += 1;
                self.at += 1;
                self.space();
                if self.peek() != if object { b'}' } else { b']' } {
                    if object {
                        self.key()?;
                    }
                    continue;
                }
            } else {
                self.skip(depth)?;
                self.space();
            }
            loop {
                let object = objects & 1 == 1;
                match self.peek() {
                    b',' => {
                        self.at += 1;
                        self.space();
                        if object {
                            self.key()?;
                        }
                        break;
                    }
                    b'}' if object => {}
                    b']' if !object => {}
                    _ => return Err(Syntax),
                }
                self.at += 1;
                objects >>= 1;
                open -= 1;
                if open == 0 {
                    return Ok(());
                }
                self.space();
            }
        }
    }
}

/// Where the space from `at` on ends.
#[inline]
pub(crate) fn space_end(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;

/// Where the plain part of a string ends: the first quote, backslash or control from `at` on, or the end of the bytes.
///
/// Eight bytes at a time. A byte may be flagged wrongly only behind a rightly flagged one, so the first flag is right.
/// Source: Mycroft's zero-byte test (1987), as in Anderson's Bit Twiddling Hacks, `haszero` and `hasless`.
#[inline]
pub(crate) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let flags = (quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        let flags = flags & HIGHS;
        if flags != 0 {
            return at + (flags.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
        at += 1;
    }
    at
}

/// The text of a string with escapes, appended to `out`; false if it has a lone surrogate, which has no UTF-8.
pub(crate) fn unescape(raw: &[u8], out: &mut Vec<u8>) -> bool {
    let unit = |at: usize| {
        let digits = raw.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut at = 0;
    let mut whole = true;
    while let Some(&byte) = raw.get(at) {
        if byte != b'\\' {
            out.push(byte);
            at += 1;
            continue;
        }
        if let Some(first) = unit(at) {
            at += 6;
            let pair = unit(at).filter(|_| (0xd800..0xdc00).contains(&first)).unwrap_or(0);
            let decoded = char::decode_utf16([first, pair]).next();
            let char = if let Some(Ok(char)) = decoded { char } else { char::REPLACEMENT_CHARACTER };
            whole &= !(0xd800..0xe000).contains(&first) || char.len_utf16() == 2;
            at += 6 * usize::from(char.len_utf16() == 2);
            out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            out.push(match raw.get(at + 1) {
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(&other) => other,
                None => b'\\',
            });
            at += 2;
        }
    }
    whole
}
