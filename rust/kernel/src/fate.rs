//! What became of a tick: every one meets exactly one fate, and is counted under it.

use crate::accumulated::Short;
use crate::made::Made;
use crate::symbol::SymbolId;
use crate::tick::Tick;

/// What became of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Folded into an open bar, or made one.
    Folded,
    /// Folded into a bar that had closed.
    Revised,
    /// A quote: touches nothing.
    Quote,
    /// Folded before.
    Repeat,
    /// In the row already from which its bar was read back.
    Replayed,
    /// Another channel owns the symbol in this minute.
    NotOwner,
    /// The bar is made of the other kind.
    OtherKind,
    /// Behind the revise window.
    TooLate,
    /// Its conditions let it set nothing.
    Excluded,
    /// Past the clock.
    Future,
    /// Far ahead of its feed, which did not follow.
    AheadOfFeed,
    /// A ticker beyond the cap.
    SymbolCap,
}

/// What happens as a consequence of ticks and time; the engine counts and collects it.
pub trait Sink {
    /// A tick met its fate. `raw` is its own JSON.
    fn fate(&mut self, fate: Fate, channel: u16, tick: &Tick<'_>, raw: &[u8]);
    /// So many bars are about to close.
    fn expect(&mut self, bars: usize);
    /// A bar closed or was revised.
    fn made(&mut self, symbol: SymbolId, made: &mut Made);
    /// Numbered ticks of a channel never came: so many, between two event times.
    fn jump(&mut self, channel: u16, ticks: i64, from_us: i64, to_us: i64);
    /// Shares of a symbol were traded in ticks that never came.
    fn short(&mut self, symbol: SymbolId, short: Short);
    /// A bar closed without a price: its volume stands nowhere else.
    fn without_price(&mut self, volume: i64);
}
