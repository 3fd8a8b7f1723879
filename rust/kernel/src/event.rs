//! Who an event is: a UUID made of what it is about, so that every replay gives it the same one.

use std::io::Write;

use sha1::{Digest, Sha1};

use crate::timeframe::Timeframe;

/// The name space of the ids, a UUID of the project's own.
const NAMESPACE: [u8; 16] = 0x0c9f_5d2e_6b1c_5d3a_9a4e_7d1f_2b8c_6a55_u128.to_be_bytes();

/// Stands for the first definition of a pattern in the ids of its events; see [`parameters`](crate::pattern::Pattern::parameters).
pub const PARAMETERS: &str = "1";

/// The id of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventId([u8; 16]);

impl EventId {
    /// Characters of its text.
    pub const TEXT_BYTES: usize = 36;

    /// The id of a text as [`EventId::text`] writes it; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text: &[u8; Self::TEXT_BYTES] = text.as_bytes().try_into().ok()?;
        let mut digits = [0; 32];
        let (mut wrong, mut next) = (0, 0);
        for (at, &byte) in text.iter().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                wrong |= u8::from(byte != b'-');
            } else {
                let value = if byte.is_ascii_digit() { byte - b'0' } else { byte.wrapping_sub(b'a').wrapping_add(10) };
                wrong |= u8::from(!matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                digits[next] = value;
                next += 1;
            }
        }
        let mut id = [0; 16];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1] & 15;
        }
        (wrong == 0).then_some(Self(id))
    }

    /// Its 16 bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// Lower-case hexadecimal digits in groups of 8, 4, 4, 4 and 12.
    #[must_use]
    pub fn text(self) -> [u8; Self::TEXT_BYTES] {
        // All digits first, then moved apart.
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&DIGITS[usize::from(byte)]);
        }
        let mut text = [b'-'; Self::TEXT_BYTES];
        text[..8].copy_from_slice(&digits[..8]);
        text[9..13].copy_from_slice(&digits[8..12]);
        text[14..18].copy_from_slice(&digits[12..16]);
        text[19..23].copy_from_slice(&digits[16..20]);
        text[24..].copy_from_slice(&digits[20..]);
        text
    }
}

/// The two digits of each byte.
static DIGITS: [[u8; 2]; 256] = {
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digit(byte as u8 >> 4), digit(byte as u8 & 15)];
        byte += 1;
    }
    pairs
};

/// The digit of a number below 16.
const fn digit(number: u8) -> u8 {
    number + if number < 10 { b'0' } else { b'a' - 10 }
}

/// Makes ids in bulk. O(1) each, without allocation; one minute's events share the digits of its start, and those of one
/// symbol in a row all that comes before their patterns.
#[derive(Debug, Default)]
pub struct EventIds {
    name: Vec<u8>,
    /// Bytes of the name up to the pattern, and of the symbol in them.
    shared: usize,
    symbol: usize,
    timeframe: Option<Timeframe>,
    start_us: i64,
    start: Vec<u8>,
}

impl EventIds {
    /// The id of the event that `pattern` began to hold at the bar's evaluation `revision`.
    ///
    /// The UUID of version 5 of `symbol|timeframe|bar_start_us|pattern|parameters|revision` in our name space.
    ///
    /// Source: RFC 9562, section 5.5.
    pub fn of(
        &mut self,
        symbol: &str,
        timeframe: Timeframe,
        bar_start_us: i64,
        pattern: &str,
        parameters: &str,
        revision: u32,
    ) -> EventId {
        self.share(symbol, timeframe, bar_start_us);
        self.name.truncate(self.shared);
        for part in [pattern, "|", parameters, "|"] {
            self.name.extend_from_slice(part.as_bytes());
        }
        if revision == 0 {
            self.name.push(b'0');
        } else {
            decimal(&mut self.name, i64::from(revision));
        }
        let digest: [u8; 20] = Sha1::digest(&self.name).into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        id[6] = id[6] & 0x0f | 0x50;
        id[8] = id[8] & 0x3f | 0x80;
        EventId(id)
    }

    /// Makes a name's part before the pattern, if it is not there yet.
    fn share(&mut self, symbol: &str, timeframe: Timeframe, bar_start_us: i64) {
        let is_same_start = !self.start.is_empty() && self.start_us == bar_start_us;
        let is_same = is_same_start && self.timeframe == Some(timeframe);
        if is_same && self.symbol == symbol.len() && self.name[NAMESPACE.len()..].starts_with(symbol.as_bytes()) {
            return;
        }
        if !is_same_start {
            self.start_us = bar_start_us;
            self.start.clear();
            decimal(&mut self.start, bar_start_us);
        }
        self.name.clear();
        for part in [&NAMESPACE, symbol.as_bytes(), b"|", timeframe.name().as_bytes(), b"|", &self.start, b"|"] {
            self.name.extend_from_slice(part);
        }
        (self.shared, self.symbol, self.timeframe) = (self.name.len(), symbol.len(), Some(timeframe));
    }
}

fn decimal(text: &mut Vec<u8>, number: i64) {
    write!(text, "{number}").expect("a vector takes every byte");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(ids: &mut EventIds, symbol: &str, start_us: i64, pattern: &str, revision: u32) -> String {
        let id = ids.of(symbol, Timeframe::Min1, start_us, pattern, PARAMETERS, revision);
        String::from_utf8(id.text().to_vec()).unwrap()
    }

    #[test]
    fn an_id_is_what_pythons_uuid5_makes_of_the_same_words() {
        let mut ids = EventIds::default();
        assert_eq!(text(&mut ids, "AAPL", 1_757_600_400_000_000, "hammer", 0), "6473b0bc-e94f-555e-b6d7-a615fb9bf4fc");
        assert_eq!(
            text(&mut ids, "BRK.B", 1_757_600_460_000_000, "engulfing", 12),
            "de8da313-12e5-5eb6-ba83-f095871b543d"
        );
        assert_eq!(text(&mut ids, "AAPL", 1_757_600_400_000_000, "hammer", 0), "6473b0bc-e94f-555e-b6d7-a615fb9bf4fc");
    }

    #[test]
    fn bars_that_start_together_have_ids_of_their_own() {
        let mut ids = EventIds::default();
        let all = Timeframe::ALL.map(|timeframe| ids.of("A", timeframe, 0, "doji", PARAMETERS, 0).text());
        let known: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(known.len(), Timeframe::COUNT);
    }

    #[test]
    fn only_the_text_of_an_id_is_one() {
        let id = "6473b0bc-e94f-555e-b6d7-a615fb9bf4fc";
        assert_eq!(EventId::parse(id).map(|id| String::from_utf8(id.text().to_vec()).unwrap()), Some(id.to_owned()));
        for wrong in [
            "",
            &id[1..],
            &id.replace('-', ""),
            &id.to_uppercase(),
            &format!("{id}0"),
            &id.replace('6', "g"),
            &id.replace('6', "W"),
        ] {
            assert_eq!(EventId::parse(wrong), None);
        }
    }

    #[test]
    fn an_id_does_not_depend_on_those_made_before_it() {
        let mut ids = EventIds::default();
        for start_us in [0, 60_000_000, 60_000_000, 0] {
            for symbol in ["A", "A", "AB", "A", "", "B|1min", "B"] {
                for pattern in ["doji", "hammer_spec", "doji"] {
                    let alone = text(&mut EventIds::default(), symbol, start_us, pattern, 3);
                    assert_eq!(text(&mut ids, symbol, start_us, pattern, 3), alone);
                }
            }
        }
    }
}
