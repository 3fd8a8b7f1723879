//! The state of a stream as bytes, to be continued elsewhere or later, bit for bit.
//!
//! Little-endian: `TPCS`, the version (u32), the symbols (u64); for each symbol its values (f64) in the order of a
//! [`Block`]'s rows; the FNV-1a hash (64 bits) of all of that, word by word.

use super::block::{Block, ROWS};
use super::stream::CandlestickStream;
use crate::error::KernelError;

const MAGIC: [u8; 4] = *b"TPCS";

/// To be raised whenever the meaning or the number of a symbol's values changes.
const VERSION: u32 = 1;

const HEAD: usize = 16;
const WORD: usize = 8;

impl CandlestickStream {
    /// All state, for [`Self::restore`].
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.symbols() * ROWS * WORD + WORD);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((self.symbols() as u64).to_le_bytes());
        for symbol in 0..self.symbols() {
            bytes.extend(self.symbol(symbol).values().flat_map(f64::to_le_bytes));
        }
        let hash = hash(&bytes);
        bytes.extend(hash.to_le_bytes());
        bytes
    }

    /// The stream whose state these bytes are.
    ///
    /// # Errors
    /// [`KernelError::Snapshot`] if they are not what [`Self::snapshot`] of this version wrote.
    pub fn restore(bytes: &[u8]) -> Result<Self, KernelError> {
        let fault = |what: &'static str| Err(KernelError::Snapshot(what.into()));
        let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
            return fault("is too short");
        };
        let [head, symbols] = [&head[..WORD], &head[WORD..]].map(word);
        if head as u32 != u32::from_le_bytes(MAGIC) {
            return fault("is not of a candlestick stream");
        }
        if (head >> 32) as u32 != VERSION {
            return fault("is of another version");
        }
        let Some((values, written)) = rest.split_last_chunk::<WORD>() else {
            return fault("is too short");
        };
        let row = ROWS * WORD;
        if values.len() % row != 0 || (values.len() / row) as u64 != symbols {
            return fault("is not as long as its symbols say");
        }
        if hash(&bytes[..bytes.len() - WORD]) != u64::from_le_bytes(*written) {
            return fault("is damaged: its checksum differs");
        }
        let mut stream = Self::new(values.len() / row);
        for (symbol, values) in values.chunks_exact(row).enumerate() {
            let mut numbers = values.chunks_exact(WORD).map(|bytes| f64::from_bits(word(bytes)));
            stream.set_symbol(symbol, &Block::from_values(|| numbers.next().unwrap_or_default()));
        }
        Ok(stream)
    }
}

/// Eight bytes as a number.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// FNV-1a over words. Source: Fowler, Noll, Vo; the constants of its 64-bit form.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, bytes: &[u8]| (hash ^ word(bytes)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.chunks_exact(WORD).fold(0xcbf2_9ce4_8422_2325, step)
}
