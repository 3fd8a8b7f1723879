//! What was found during a call, as columns.
//!
//! A row is taken apart while it is in the first cache, symbol by symbol: kept as rows, a minute's events of a market are more
//! than the second holds, and would be written there, read again and turned into columns while the next symbol's bars wait.

use std::iter::repeat_n;
use std::ops::Range;

use crate::detection::{Detail, Detection};
use crate::pattern::Explained;
use crate::rule::MadeOf;
use crate::symbol::SymbolId;

/// Declares the columns, each with what it takes of a detection.
macro_rules! columns {
    ($($(#[$doc:meta])* $column:ident: $cell:ty = $read:expr;)*) => {
        /// Patterns that came and went, in the order in which they were found.
        #[derive(Debug, Default)]
        pub struct Detections {
            /// Whose they are.
            pub symbol: Vec<SymbolId>,
            $($(#[$doc])* pub $column: Vec<$cell>,)*
            /// Where in the lists of all points, margins and members each row's begin, and how many they are.
            pub points: Places,
            /// The same of margins.
            pub margins: Places,
            /// The same of members.
            pub members: Places,
            /// START of the bar of each point, µs.
            pub point_us: Vec<i64>,
            /// The points' prices.
            pub point_price: Vec<f64>,
            /// How far inside of its threshold each condition is.
            pub margin: Vec<f64>,
            /// What rules and agreements were made of.
            pub member: Vec<MadeOf>,
        }

        /// One row of them.
        #[derive(Clone, Copy, Debug)]
        pub struct Told<'a> {
            $($(#[$doc])* pub $column: $cell,)*
            /// START of the bar of each of its points, µs.
            pub point_us: &'a [i64],
            /// Their prices.
            pub point_price: &'a [f64],
            /// Its margins.
            pub margin: &'a [f64],
            /// What it was made of.
            pub member: &'a [MadeOf],
        }

        impl Detections {
            /// Makes room for so many rows more. What they were made of finds its own.
            pub fn reserve(&mut self, rows: usize) {
                self.symbol.reserve(rows);
                $(self.$column.reserve(rows);)*
                for places in [&mut self.points, &mut self.margins, &mut self.members] {
                    places.reserve(rows);
                }
            }

            /// Adds what came and went of a symbol.
            pub fn extend(&mut self, symbol: SymbolId, rows: &[Detection]) {
                self.symbol.extend(repeat_n(symbol, rows.len()));
                $(self.$column.extend(rows.iter().map(cells($read)));)*
                for row in rows {
                    self.explain(row.explained.as_deref());
                }
            }

            /// The rows.
            pub fn rows(&self) -> impl Iterator<Item = (SymbolId, Told<'_>)> {
                self.symbol.iter().enumerate().map(|(at, &symbol)| {
                    let told = Told {
                        $($column: self.$column[at],)*
                        point_us: &self.point_us[self.points.of(at)],
                        point_price: &self.point_price[self.points.of(at)],
                        margin: &self.margin[self.margins.of(at)],
                        member: &self.member[self.members.of(at)],
                    };
                    (symbol, told)
                })
            }
        }
    };
}

columns! {
    /// START of the bar, µs.
    ts_us: i64 = |row| row.on.bar.ts_us;
    /// How long it is: a place among [`crate::timeframe::Timeframe::ALL`].
    timeframe: u8 = |row| row.on.timeframe as u8;
    /// The bar's END, µs.
    end_us: i64 = |row| row.on.end_us;
    /// Index into [`crate::pattern::PATTERNS`]; behind their end, a rule of the engine.
    pattern: i32 = |row| i32::from(row.pattern);
    /// 1 bullish, -1 bearish, 0 neither; of a withdrawn one, what it said.
    direction: i32 = |row| row.direction as i32;
    /// 0 to 1. This and the other numbers: NaN where there is none, and of what was withdrawn.
    confidence: f64 = |row| cell(row, |detail| Some(detail.matched.confidence));
    /// True: a new event. False: a revision took it away.
    held: bool = |row| row.held;
    /// The evaluation of the bar at which it first held.
    revision: i32 = |row| row.revision as i32;
    /// Whether a pattern of the opposite direction holds on the same bar.
    conflict: bool = |row| row.conflict;
    /// The pattern of the event that it replaces on the same bar; -1 for none.
    superseded_pattern: i32 = |row| row.supersedes.map_or(-1, |(pattern, _)| i32::from(pattern));
    /// The evaluation at which that one first held; -1 for none.
    superseded_revision: i32 = |row| row.supersedes.map_or(-1, |(_, revision)| revision as i32);
    /// START of the earliest bar that made it, µs.
    first_us: i64 = |row| said(row, row.on.bar.ts_us, |detail| detail.first_us);
    /// How many bars made it.
    bars: i32 = |row| said(row, 0, |detail| i32::from(detail.matched.bars));
    /// Close of the bar.
    entry: f64 = |row| cell(row, |detail| Some(detail.matched.levels.entry));
    /// The price at which the pattern is proved wrong.
    stop: f64 = |row| cell(row, |detail| detail.matched.levels.stop);
    /// The price that it aims at.
    target: f64 = |row| cell(row, |detail| detail.matched.levels.target);
    /// The price beyond which no bar may close.
    invalidation: f64 = |row| cell(row, |detail| detail.matched.levels.invalidation);
    /// Average true range over 14 bars, in price.
    atr: f64 = |row| cell(row, |detail| detail.atr);
    /// First price of the bar.
    open: f64 = |row| row.on.bar.open;
    /// Highest price.
    high: f64 = |row| row.on.bar.high;
    /// Lowest price.
    low: f64 = |row| row.on.bar.low;
    /// Last price.
    close: f64 = |row| row.on.bar.close;
    /// Shares.
    volume: i64 = |row| row.on.bar.volume;
    /// Percent against the previous close.
    price_change: f64 = |row| cell(row, |detail| Some(detail.price_change));
    /// Volume over the mean of the 20 bars before.
    relative_volume: f64 = |row| cell(row, |detail| detail.relative_volume);
    /// RSI over 14 changes, 0 to 100.
    rsi: f64 = |row| cell(row, |detail| detail.rsi);
    /// Return over 20 bars less that of the benchmark, in percentage points.
    relative_strength: f64 = |row| cell(row, |detail| detail.relative_strength);
    /// Flags of what it was made and measured from.
    quality: u8 = |row| said(row, 0, |detail| detail.quality);
    /// What TA-Lib's function answers; 0 if it is none of TA-Lib's.
    talib_value: i32 = |row| said(row, 0, |detail| detail.matched.talib_value);
}

/// Where the parts of each row begin in a list of all rows' parts, and how many they are.
#[derive(Debug, Default)]
pub struct Places {
    /// The first.
    pub first: Vec<i32>,
    /// How many.
    pub count: Vec<u8>,
}

impl Places {
    fn reserve(&mut self, rows: usize) {
        self.first.reserve(rows);
        self.count.reserve(rows);
    }

    /// So many from `first` on are the next row's.
    fn push(&mut self, first: usize, count: usize) {
        self.first.push(first as i32);
        self.count.push(count as u8);
    }

    /// Which are a row's.
    fn of(&self, row: usize) -> Range<usize> {
        let first = self.first[row] as usize;
        first..first + usize::from(self.count[row])
    }
}

impl Detections {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.symbol.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.symbol.is_empty()
    }

    /// Adds what the next row was made of.
    fn explain(&mut self, said: Option<&Explained>) {
        let (points, margins, made_of) = said.map_or((&[][..], &[][..], &[][..]), |said| {
            (said.points.as_slice(), said.margins.as_slice(), said.made_of.as_slice())
        });
        self.points.push(self.point_us.len(), points.len());
        self.margins.push(self.margin.len(), margins.len());
        self.members.push(self.member.len(), made_of.len());
        self.point_us.extend(points.iter().map(|&(ts_us, _)| ts_us));
        self.point_price.extend(points.iter().map(|&(_, price)| price));
        self.margin.extend_from_slice(margins);
        self.member.extend_from_slice(made_of);
    }
}

/// What a column takes of a row; the compiler learns here what the closure is given.
fn cells<T, F: Fn(&Detection) -> T>(read: F) -> F {
    read
}

/// What a row says of a pattern that holds, `none` of one that was withdrawn.
fn said<T>(row: &Detection, none: T, read: impl FnOnce(&Detail) -> T) -> T {
    row.detail.as_ref().map_or(none, read)
}

/// A number of which there may be none, as a cell.
fn cell(row: &Detection, read: impl FnOnce(&Detail) -> Option<f64>) -> f64 {
    said(row, None, read).unwrap_or(f64::NAN)
}
