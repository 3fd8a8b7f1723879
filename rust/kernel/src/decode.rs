//! Messages to ticks.
//!
//! Two readers give the same answer: one follows the key order that the producer used last, one takes any order. Which
//! of them read a message shows in its cost only.

use crate::block::{LANES, Reader};
use crate::field::{Field, Fields, Row, judge};
use crate::json::{Scanner, Syntax, space_end, unescape};
use crate::lanes::Lanes;
use crate::tick::{Reason, Tick};

/// The longest message that is read, in bytes.
pub const MAX_MESSAGE: usize = 65_536;

/// Messages that are read side by side: as many together are read fastest.
pub const BATCH: usize = LANES;

/// Reads messages of one producer; keep one a channel, so that it knows the producer's key order.
///
/// Cost per tick: O(bytes), without allocation once warm.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    messages: Box<Reader>,
    /// Objects in arrays.
    elements: Box<Reader>,
    /// Where the elements start that were read last, those not asked for yet.
    starts: Vec<usize>,
    /// Tickers written with escapes, plain.
    scratch: Vec<u8>,
    /// The elements of an array, until the array is known to be whole.
    rows: Vec<(Result<Row, Reason>, usize, usize)>,
}

impl Decoder {
    /// Gives `sink` every tick of the messages, in order: which message it is of, the tick or why it is refused, and its
    /// own JSON.
    ///
    /// An object is one tick, an array of objects is one a piece, in order. A message that is no JSON throughout, too
    /// large or neither object nor array is refused once, as a whole; `sink` then gets the payload.
    pub fn decode(&mut self, payloads: &[&[u8]], mut sink: impl FnMut(usize, Result<Tick<'_>, Reason>, &[u8])) {
        let mut done = 0;
        for batch in payloads.chunks(BATCH) {
            self.read(batch);
            self.hand_out(batch, &mut |lane, tick, raw| sink(done + lane, tick, raw));
            done += batch.len();
        }
    }

    /// Reads at most [`BATCH`] messages; true if each of them is one good tick, as [`Self::lanes`] then shows.
    pub(crate) fn read(&mut self, batch: &[&[u8]]) -> bool {
        self.messages.read(batch, 1);
        self.messages.is_plain(batch, MAX_MESSAGE)
    }

    /// What the messages hold that were read last, all of them good ticks.
    pub(crate) fn lanes(&self) -> &Lanes {
        self.messages.lanes()
    }

    /// Gives `sink` every tick of the messages that were read last.
    pub(crate) fn hand_out(&mut self, batch: &[&[u8]], sink: &mut impl FnMut(usize, Result<Tick<'_>, Reason>, &[u8])) {
        for (lane, payload) in batch.iter().enumerate() {
            match self.messages.end(lane) {
                Some(end) if payload.len() <= MAX_MESSAGE && space_end(payload, end) == payload.len() => {
                    let tick = self.messages.row(lane).tick(payload, &[]);
                    sink(lane, Ok(tick), payload.get(..end).unwrap_or_default());
                }
                _ => self.decode_with_care(payload, &mut |tick, raw| sink(lane, tick, raw)),
            }
        }
    }

    /// The same for one message, whatever it holds.
    fn decode_with_care(&mut self, payload: &[u8], sink: &mut impl FnMut(Result<Tick<'_>, Reason>, &[u8])) {
        if payload.len() > MAX_MESSAGE {
            return sink(Err(Reason::TooLarge), payload);
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
                self.starts.clear();
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
    fn object(&mut self, scanner: &mut Scanner<'_>, outer: usize) -> Result<Result<Row, Reason>, Syntax> {
        let start = scanner.at;
        if self.starts.last() != Some(&start) {
            self.read_ahead(scanner.bytes, start, outer + 1);
        }
        let lane = LANES - self.starts.len();
        self.starts.pop();
        if let Some(end) = self.elements.end(lane) {
            let mut row = self.elements.row(lane);
            row.ticker.start += start as u32;
            row.ticker.end += start as u32;
            scanner.at = start + end;
            return Ok(Ok(row));
        }
        self.careful(scanner, outer)
    }

    /// Reads the object at `start` and those that seem to follow it.
    fn read_ahead(&mut self, bytes: &[u8], start: usize, depth: usize) {
        let mut texts: [&[u8]; LANES] = [&[]; LANES];
        self.starts.clear();
        self.starts.resize(LANES, usize::MAX);
        let (mut at, mut count) = (start, 0);
        for (text, start) in texts.iter_mut().zip(self.starts.iter_mut().rev()) {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(len) = memchr::memchr(b'}', rest) else { break };
            (*text, *start) = (&rest[..=len], at);
            count += 1;
            at = space_end(bytes, at + len + 1);
            if bytes.get(at) != Some(&b',') {
                break;
            }
            at = space_end(bytes, at + 1);
        }
        self.elements.read(&texts[..count], depth);
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
