//! Tickers as small dense ids, found without allocation.

use std::hash::{BuildHasher, Hash, Hasher};

use arrayvec::ArrayString;
use hashbrown::{DefaultHashBuilder, HashTable};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A dense handle of one ticker, valid until the ticker is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SymbolId(pub u32);

impl SymbolId {
    /// The id as an index into columns that have one row a symbol.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The longest ticker, in bytes.
const MOST_BYTES: usize = 20;

/// A ticker as words, so that looking one up follows no pointer and compares no slice.
#[derive(Clone, Copy, Debug)]
struct Key {
    /// The first 16 bytes, then zeros.
    head: [u64; 2],
    /// What follows them, then zeros.
    tail: u32,
    /// Keeps tickers with NUL bytes apart.
    len: u32,
}

impl Key {
    /// `None` for more than [`MOST_BYTES`].
    ///
    /// Words that overlap and are shifted: no copy of a length that only the ticker knows.
    #[inline]
    fn new(ticker: &[u8]) -> Option<Self> {
        let len = ticker.len();
        let (head, tail) = match (ticker.first_chunk(), ticker.last_chunk()) {
            _ if len > MOST_BYTES => return None,
            (Some(first), Some(last)) if len < 16 => {
                ([u64::from_le_bytes(*first), u64::from_le_bytes(*last) >> (8 * (15 - len)) >> 8], 0)
            }
            (Some(first), _) => {
                let second = ticker.get(8..16).and_then(|second| second.first_chunk()).copied().unwrap_or_default();
                let last = ticker.last_chunk().copied().map_or(0, u32::from_le_bytes);
                let tail = last.checked_shr(8 * (20 - len) as u32).unwrap_or(0);
                ([u64::from_le_bytes(*first), u64::from_le_bytes(second)], tail)
            }
            _ => ([short(ticker), 0], 0),
        };
        Some(Self { head, tail, len: len as u32 })
    }

    /// Whether it is the other: one question for all words, as there is nearly always one answer.
    #[inline]
    fn is(self, other: Self) -> bool {
        let head = (self.head[0] ^ other.head[0]) | (self.head[1] ^ other.head[1]);
        head | u64::from((self.tail ^ other.tail) | (self.len ^ other.len)) == 0
    }
}

/// The bytes of a ticker of less than eight, the first lowest.
#[inline]
fn short(ticker: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (ticker.first_chunk(), ticker.last_chunk()) {
        let last = u64::from(u32::from_le_bytes(*last));
        return u64::from(u32::from_le_bytes(*first)) | last << ((8 * (ticker.len() - 4)) & 63);
    }
    let byte = |at: usize| u64::from(ticker.get(at).copied().unwrap_or(0));
    byte(0) | byte(1) << 8 | byte(2) << 16
}

impl Hash for Key {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.head[0] ^ u64::from(self.len) << 56);
        state.write_u64(self.head[1] ^ u64::from(self.tail).rotate_left(17));
    }
}

/// Ticker ⇄ id, with a cap. Hashing is keyed, so that a feed cannot choose colliding names.
#[derive(Debug, Default)]
pub struct Symbols {
    hasher: DefaultHashBuilder,
    /// Bare ids, so that those of a thousand tickers with their keys stay in the first cache.
    table: HashTable<SymbolId>,
    /// By id.
    keys: Vec<Key>,
    names: Vec<ArrayString<MOST_BYTES>>,
    free: Vec<SymbolId>,
    /// Forgotten in the running call: their ids may still stand in its output.
    resting: Vec<SymbolId>,
    renamed: u64,
}

impl Symbols {
    /// Room for so many tickers.
    #[must_use]
    pub fn with_capacity(tickers: usize) -> Self {
        let mut symbols = Self::default();
        symbols.names.reserve(tickers);
        symbols.keys.reserve(tickers);
        symbols.table.reserve(tickers, |id| symbols.hasher.hash_one(symbols.keys[id.index()]));
        symbols
    }

    /// The id of a known ticker. `O(1)`, no allocation.
    #[must_use]
    pub fn find(&self, ticker: &[u8]) -> Option<SymbolId> {
        self.get(Key::new(ticker)?)
    }

    /// The id of a ticker, made if there are fewer than `cap`; `None` at the cap, or if it is longer than 20 bytes or
    /// not UTF-8.
    #[inline]
    pub fn intern(&mut self, ticker: &[u8], cap: usize) -> Option<SymbolId> {
        let key = Key::new(ticker)?;
        match self.get(key) {
            Some(id) => Some(id),
            None => self.add(key, ticker, cap),
        }
    }

    /// The same for a ticker of `len` bytes, at most 15, which are those of `head`, the first lowest, and then zeros;
    /// `ticker` is asked for only if it is new.
    #[inline]
    pub(crate) fn intern_short<'a>(
        &mut self,
        (head, len): (u128, u32),
        ticker: impl FnOnce() -> &'a [u8],
        cap: usize,
    ) -> Option<SymbolId> {
        let key = Key { head: [head as u64, (head >> 64) as u64], tail: 0, len };
        match self.get(key) {
            Some(id) => Some(id),
            None => self.add(key, ticker(), cap),
        }
    }

    #[cold]
    #[inline(never)]
    fn add(&mut self, key: Key, ticker: &[u8], cap: usize) -> Option<SymbolId> {
        if self.table.len() >= cap {
            return None;
        }
        let name = ArrayString::from(std::str::from_utf8(ticker).ok()?).ok()?;
        let id = if let Some(id) = self.free.pop() {
            self.renamed += 1;
            id
        } else {
            self.names.push(name);
            self.keys.push(key);
            SymbolId((self.names.len() - 1) as u32)
        };
        self.names[id.index()] = name;
        self.keys[id.index()] = key;
        let (hasher, keys) = (&self.hasher, &self.keys);
        self.table.insert_unique(hasher.hash_one(key), id, |id| hasher.hash_one(keys[id.index()]));
        Some(id)
    }

    #[inline]
    fn get(&self, key: Key) -> Option<SymbolId> {
        self.table.find(self.hasher.hash_one(key), |id| self.keys[id.index()].is(key)).copied()
    }

    /// Forgets a ticker. Its id is given out again after the next [`Symbols::release`].
    pub fn forget(&mut self, id: SymbolId) {
        let Some(key) = Key::new(self.name(id).as_bytes()) else { return };
        if let Ok(entry) = self.table.find_entry(self.hasher.hash_one(key), |other| *other == id) {
            entry.remove();
            self.resting.push(id);
        }
    }

    /// Ends a call: ids forgotten in it may be given out again.
    pub fn release(&mut self) {
        self.free.append(&mut self.resting);
    }

    /// The ticker of an id that was given out.
    #[must_use]
    pub fn name(&self, id: SymbolId) -> &str {
        &self.names[id.index()]
    }

    /// How often an id has been given to another ticker: who keeps names by id must forget them when this changes.
    #[must_use]
    pub fn renamed(&self) -> u64 {
        self.renamed
    }

    /// Known tickers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no ticker is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Ids that were given out, those of forgotten tickers included.
    pub(crate) fn given(&self) -> usize {
        self.names.len()
    }

    /// The tickers of all ids that were given out, in order: those known, if none has been forgotten.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(ArrayString::as_str)
    }

    /// All ids in use, in order.
    pub fn ids(&self) -> impl Iterator<Item = SymbolId> + '_ {
        let known = |id: &SymbolId| self.find(self.name(*id).as_bytes()) == Some(*id);
        (0..self.names.len() as u32).map(SymbolId).filter(known)
    }
}

/// What a snapshot has of them: names by id, and which of these stand for nobody, in the order in which they will be
/// given out.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    names: Vec<&'a str>,
    free: Vec<SymbolId>,
    resting: Vec<SymbolId>,
    renamed: u64,
}

impl Serialize for Symbols {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let names = self.names().collect();
        Written { names, free: self.free.clone(), resting: self.resting.clone(), renamed: self.renamed }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Symbols {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Written { names, free, resting, renamed } = Written::deserialize(from)?;
        let mut unused = vec![false; names.len()];
        for id in free.iter().chain(&resting) {
            let unused = unused.get_mut(id.index()).filter(|unused| !**unused);
            *unused.ok_or_else(|| Error::custom("an id is free that is not, or twice"))? = true;
        }
        let mut symbols = Self::with_capacity(names.len());
        for (name, unused) in names.iter().zip(unused) {
            let kept = Key::new(name.as_bytes()).zip(ArrayString::from(name).ok());
            let (key, name) = kept.ok_or_else(|| Error::custom("a ticker is too long"))?;
            if !unused && symbols.get(key).is_some() {
                return Err(Error::custom("a ticker is there twice"));
            }
            let id = SymbolId(symbols.names.len() as u32);
            symbols.names.push(name);
            symbols.keys.push(key);
            if !unused {
                let (hasher, keys) = (&symbols.hasher, &symbols.keys);
                symbols.table.insert_unique(hasher.hash_one(key), id, |id| hasher.hash_one(keys[id.index()]));
            }
        }
        Ok(Self { free, resting, renamed: renamed.min(u64::MAX / 2), ..symbols })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticker_keeps_its_id_and_the_cap_refuses_new_ones() {
        let mut symbols = Symbols::default();
        let aapl = symbols.intern(b"AAPL", 2);
        assert_eq!(symbols.intern(b"MSFT", 2), Some(SymbolId(1)));
        assert_eq!(symbols.intern(b"SPY", 2), None);
        assert_eq!(symbols.intern(b"AAPL", 2), aapl);
        assert_eq!(symbols.name(SymbolId(1)), "MSFT");
    }

    #[test]
    fn tickers_of_any_length_are_told_apart() {
        let mut symbols = Symbols::default();
        let names: Vec<String> = (1..=20).map(|n| "A".repeat(n)).chain(["A\0".into(), "\0A".into()]).collect();
        let ids: Vec<_> = names.iter().map(|name| symbols.intern(name.as_bytes(), 100)).collect();
        assert_eq!(ids, (0..22).map(|id| Some(SymbolId(id))).collect::<Vec<_>>());
        assert_eq!(symbols.intern(&[b'A'; 21], 100), None);
    }

    #[test]
    fn a_forgotten_id_is_reused_only_after_the_call() {
        let mut symbols = Symbols::default();
        let first = symbols.intern(b"OLD", 1).unwrap();
        symbols.forget(first);
        assert_eq!(symbols.name(first), "OLD");
        assert_eq!(symbols.find(b"OLD"), None);
        assert_eq!(symbols.intern(b"NEW", 1), Some(SymbolId(1)));
        symbols.forget(SymbolId(1));
        symbols.release();
        assert!(symbols.intern(b"NEXT", 1).is_some_and(|id| id.0 <= 1));
        assert_eq!(symbols.ids().count(), 1);
    }
}
