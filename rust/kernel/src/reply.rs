//! One RESP2 reply, as far as publish/subscribe needs it: a scalar, or an array of scalars.
//!
//! Source: Redis serialization protocol specification, version 2.

use memchr::memchr;

/// The longest bulk string that Redis itself allows, in bytes (`proto-max-bulk-len`).
pub(crate) const MAX_BULK: usize = 512 << 20;
/// The longest line: a simple string, an error, a length.
pub(crate) const MAX_LINE: usize = 65_536;
/// The most elements of an array: a `pmessage` has 4.
pub(crate) const MAX_ELEMENTS: usize = 16;

/// Bytes that are no RESP2, or more than any publish/subscribe reply needs: the connection is to be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RespError {
    /// A reply starts with another byte than RESP2 knows.
    #[error("a RESP2 reply starts with one of + - : $ *, was byte {0}")]
    Type(u8),
    /// A length or an integer is not written in decimal digits.
    #[error("a RESP2 number has 1 to 18 digits and ends in CR LF")]
    Number,
    /// A bulk string does not end where its length says.
    #[error("a RESP2 bulk string of {0} bytes must be followed by CR LF")]
    Terminator(usize),
    /// A line, bulk string or array is longer than its bound.
    #[error("a RESP2 line, bulk string or array has at most {most} bytes or elements, was {size}")]
    TooLong {
        /// What was announced or seen.
        size: usize,
        /// The bound.
        most: usize,
    },
    /// An array within an array.
    #[error("a publish/subscribe reply has no arrays inside")]
    Nested,
}

/// Why a frame does not come out.
pub(crate) enum Stop {
    /// The bytes end before it; it needs at least this many from its start.
    Short(usize),
    Broken(RespError),
}

impl From<RespError> for Stop {
    fn from(error: RespError) -> Self {
        Self::Broken(error)
    }
}

/// An element of a reply.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'a> {
    Null,
    Simple(&'a [u8]),
    Error(&'a [u8]),
    Integer(i64),
    /// Its bytes and their offset.
    Bulk(&'a [u8], usize),
}

/// A place within a frame that started at `start`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) start: usize,
    pub(crate) at: usize,
}

impl<'a> Cursor<'a> {
    /// Bytes from the frame's start up to `end`.
    fn short(&self, end: usize) -> Stop {
        Stop::Short(end - self.start)
    }

    /// One reply into `parts`: a scalar is one part. How many parts there are.
    pub(crate) fn reply(&mut self, parts: &mut [Part<'a>; MAX_ELEMENTS]) -> Result<usize, Stop> {
        if self.bytes.get(self.at) != Some(&b'*') {
            parts[0] = self.scalar()?;
            return Ok(1);
        }
        self.at += 1;
        let (count, next) = self.integer()?;
        self.at = next;
        let Ok(count) = usize::try_from(count) else {
            return if count == -1 { Ok(0) } else { Err(RespError::Number.into()) };
        };
        let most = MAX_ELEMENTS;
        let parts = parts.get_mut(..count).ok_or(RespError::TooLong { size: count, most })?;
        for part in parts {
            *part = self.scalar()?;
        }
        Ok(count)
    }

    fn scalar(&mut self) -> Result<Part<'a>, Stop> {
        let Some(&kind) = self.bytes.get(self.at) else {
            return Err(self.short(self.at + 1));
        };
        self.at += 1;
        match kind {
            b'$' => {
                let Some((from, end, next)) = self.bulk()? else {
                    self.at = self.line()?.1;
                    return Ok(Part::Null);
                };
                self.at = next;
                Ok(Part::Bulk(self.bytes.get(from..end).unwrap_or_default(), from))
            }
            b':' => {
                let (value, next) = self.integer()?;
                self.at = next;
                Ok(Part::Integer(value))
            }
            b'+' | b'-' => {
                let (line, next) = self.line()?;
                self.at = next;
                Ok(if kind == b'+' { Part::Simple(line) } else { Part::Error(line) })
            }
            b'*' => Err(RespError::Nested.into()),
            other => Err(RespError::Type(other).into()),
        }
    }

    /// The line from here on without its CR LF, and where the next one starts.
    fn line(&self) -> Result<(&'a [u8], usize), Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let mut from = 0;
        while let Some(found) = memchr(b'\r', rest.get(from..).unwrap_or_default()) {
            let end = from + found;
            match rest.get(end + 1) {
                Some(b'\n') if end <= MAX_LINE => {
                    return Ok((rest.get(..end).unwrap_or_default(), self.at + end + 2));
                }
                Some(_) => from = end + 1,
                None => break,
            }
        }
        if rest.len() > MAX_LINE + 1 {
            return Err(RespError::TooLong { size: MAX_LINE + 1, most: MAX_LINE }.into());
        }
        Err(self.short(self.bytes.len() + 1))
    }

    /// A decimal integer up to its CR LF, and where the next line starts.
    #[inline]
    fn integer(&self) -> Result<(i64, usize), Stop> {
        let mut at = self.at;
        let negative = self.bytes.get(at) == Some(&b'-');
        at += usize::from(negative);
        let first = at;
        let mut value = 0;
        while let Some(digit) = self.bytes.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            // Before it is counted in: a nineteenth digit may be more than 64 bits hold.
            if at - first == 18 {
                return Err(RespError::Number.into());
            }
            value = value * 10 + i64::from(digit);
            at += 1;
        }
        match (self.bytes.get(at), self.bytes.get(at + 1)) {
            (Some(b'\r'), Some(b'\n')) if at > first => Ok((if negative { -value } else { value }, at + 2)),
            (None, _) => Err(self.short(at + 1)),
            (Some(b'\r'), None) if at > first => Err(self.short(at + 2)),
            _ => Err(RespError::Number.into()),
        }
    }

    /// A bulk string from its length on: where it starts and ends, and where the next part starts. `None` for null.
    #[inline]
    pub(crate) fn bulk(&self) -> Result<Option<(usize, usize, usize)>, Stop> {
        let (length, from) = self.integer()?;
        let Ok(length) = usize::try_from(length) else {
            return if length == -1 { Ok(None) } else { Err(RespError::Number.into()) };
        };
        if length > MAX_BULK {
            return Err(RespError::TooLong { size: length, most: MAX_BULK }.into());
        }
        let end = from + length;
        match (self.bytes.get(end), self.bytes.get(end + 1)) {
            (Some(b'\r'), Some(b'\n')) => Ok(Some((from, end, end + 2))),
            // Judged by both bytes or not at all, so that where a read ends makes no difference.
            (_, None) => Err(self.short(end + 2)),
            _ => Err(RespError::Terminator(length).into()),
        }
    }
}
