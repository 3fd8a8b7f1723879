//! Messages to ticks.
//!
//! Two readers give the same answer: one follows the key order that the producer used last, one takes any order. Which
//! of them read a message shows in its cost only.

use crate::field::{Field, Fields, Row, judge};
use crate::json::{Scanner, Syntax, space_end, unescape};
use crate::quick::Reader;
use crate::tick::{Reason, Tick};

/// The longest message that is read, in bytes.
pub const MAX_MESSAGE: usize = 65_536;

/// Reads messages of one producer; keep one a channel, so that it knows the producer's key order.
///
/// Cost per tick: O(bytes), without allocation once warm.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    reader: Reader,
    /// Tickers written with escapes, plain.
    scratch: Vec<u8>,
    /// The elements of an array, until the array is known to be whole.
    rows: Vec<(Result<Row, Reason>, usize, usize)>,
}

impl Decoder {
    /// Gives `sink` every tick of one message: the tick or why it is refused, and its own JSON.
    ///
    /// An object is one tick, an array of objects is one a piece, in order. A message that is no JSON throughout, too
    /// large or neither object nor array is refused once, as a whole; `sink` then gets the payload.
    pub fn decode(&mut self, payload: &[u8], mut sink: impl FnMut(Result<Tick<'_>, Reason>, &[u8])) {
        if payload.len() > MAX_MESSAGE {
            return sink(Err(Reason::TooLarge), payload);
        }
        if let Some((row, end)) = self.reader.read(payload, 0, 1) {
            if space_end(payload, end) == payload.len() {
                let raw = payload.get(..end).unwrap_or_default();
                return sink(Ok(row.tick(payload, &self.scratch)), raw);
            }
        }
        if !payload.is_ascii() && std::str::from_utf8(payload).is_err() {
            return sink(Err(Reason::BadJson), payload);
        }
        self.scratch.clear();
        let mut scanner = Scanner::new(payload);
        scanner.space();
        match scanner.peek() {
            b'{' => {
                let start = scanner.at;
                let row = self.careful(&mut scanner, 0);
                let end = scanner.at;
                scanner.space();
                match row {
                    Ok(row) if scanner.at == payload.len() => {
                        let raw = payload.get(start..end).unwrap_or_default();
                        sink(row.map(|row| row.tick(payload, &self.scratch)), raw);
                    }
                    _ => sink(Err(Reason::BadJson), payload),
                }
            }
            b'[' => {
                self.rows.clear();
                if self.array(&mut scanner).is_err() || scanner.at != payload.len() {
                    return sink(Err(Reason::BadJson), payload);
                }
                for &(row, start, end) in &self.rows {
                    let raw = payload.get(start..end).unwrap_or_default();
                    sink(row.map(|row| row.tick(payload, &self.scratch)), raw);
                }
            }
            _ => {
                let valid = scanner.skip(0).is_ok();
                scanner.space();
                let reason = if valid && scanner.at == payload.len() { Reason::NotAnObject } else { Reason::BadJson };
                sink(Err(reason), payload);
            }
        }
    }

    /// The elements into `rows`, and the space behind the array.
    fn array(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Syntax> {
        scanner.expect(b'[')?;
        scanner.space();
        if scanner.peek() == b']' {
            scanner.at += 1;
            scanner.space();
            return Ok(());
        }
        loop {
            let start = scanner.at;
            let row = if scanner.peek() == b'{' {
                self.object(scanner, 1)?
            } else {
                scanner.skip(1)?;
                Err(Reason::NotAnObject)
            };
            self.rows.push((row, start, scanner.at));
            scanner.space();
            if scanner.peek() != b',' {
                break;
            }
            scanner.at += 1;
            scanner.space();
        }
        scanner.expect(b']')?;
        scanner.space();
        Ok(())
    }

    /// One object, from its opening brace to behind its closing one; `outer` containers are open around it.
    #[inline]
    fn object(&mut self, scanner: &mut Scanner<'_>, outer: usize) -> Result<Result<Row, Reason>, Syntax> {
        if let Some((row, end)) = self.reader.read(scanner.bytes, scanner.at, outer + 1) {
            scanner.at = end;
            return Ok(Ok(row));
        }
        self.careful(scanner, outer)
    }

    /// The same with every check, whatever the object holds.
    fn careful(&mut self, scanner: &mut Scanner<'_>, outer: usize) -> Result<Result<Row, Reason>, Syntax> {
        let mut fields = Fields::default();
        scanner.expect(b'{')?;
        scanner.space();
        if scanner.peek() == b'}' {
            scanner.at += 1;
        } else {
            pairs(scanner, outer + 1, &mut fields)?;
        }
        Ok(judge(&fields, scanner.bytes, &mut self.scratch))
    }
}

fn pairs(scanner: &mut Scanner<'_>, depth: usize, fields: &mut Fields) -> Result<(), Syntax> {
    loop {
        let key = scanner.key()?;
        let field = if key.escaped {
            let mut plain = Vec::new();
            unescape(key.raw(scanner.bytes), &mut plain);
            Field::of(&plain)
        } else {
            Field::of(key.raw(scanner.bytes))
        };
        match field {
            Field::Ignored => scanner.skip(depth)?,
            Field::Conditions => fields.set(field, scanner.conditions(depth)?),
            _ => fields.set(field, scanner.value(depth)?),
        }
        scanner.space();
        match scanner.peek() {
            b',' => scanner.at += 1,
            b'}' => break,
            _ => return Err(Syntax),
        }
        scanner.space();
    }
    scanner.at += 1;
    Ok(())
}
