//! An event as an encoder is told of it.

use super::quoted;
use crate::timeframe::Timeframe;

/// What is said of a pattern in each of its events.
#[derive(Clone, Debug)]
pub struct Naming {
    pub(super) plain_name: String,
    /// `None`: that of the bar.
    pub(super) tier: Option<String>,
    /// This and the others as JSON, quotes included.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) talib: Option<String>,
    pub(super) points: Vec<String>,
    pub(super) conditions: Vec<String>,
}

impl Naming {
    /// id, published name, tier and, if it is one of TA-Lib's functions, its name there: plain texts.
    #[must_use]
    pub fn new(id: &str, name: &str, tier: &str, talib: Option<&str>) -> Self {
        Self {
            plain_name: name.to_owned(),
            tier: Some(tier.to_owned()).filter(|tier| tier != "intraday"),
            id: quoted(id),
            name: quoted(name),
            talib: talib.map(quoted),
            points: Vec::new(),
            conditions: Vec::new(),
        }
    }

    /// With the names of the points that draw it, and of its conditions.
    #[must_use]
    pub fn explained(self, points: &[String], conditions: &[String]) -> Self {
        let all = |names: &[String]| names.iter().map(|name| quoted(name)).collect();
        Self { points: all(points), conditions: all(conditions), ..self }
    }
}

/// An event: a pattern that holds at the close of a bar. Prices, shares and µs UTC; NaN is a value that is not known.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Its ticker.
    pub symbol: &'a str,
    /// Its pattern.
    pub pattern: &'a Naming,
    /// A UUID.
    pub event_id: &'a str,
    /// The id of the event that this one replaces; empty for none.
    pub supersedes: &'a str,
    /// How long its bar is.
    pub timeframe: Timeframe,
    /// START of the bar.
    pub ts_us: i64,
    /// The bar's END.
    pub end_us: i64,
    /// START of the earliest bar that made the pattern.
    pub first_us: i64,
    /// How many bars made it.
    pub bars: i32,
    /// The bar's evaluation at which it began to hold.
    pub revision: i32,
    /// 1 bullish, -1 bearish, else neutral.
    pub direction: i32,
    /// 0 to 1.
    pub confidence: f64,
    /// Entry, stop, target, invalidation.
    pub levels: [f64; 4],
    /// Average true range, in price.
    pub atr: f64,
    /// Whether one of the opposite direction ends on the same bar.
    pub conflict: bool,
    /// START of the bar of each point that draws it.
    pub point_us: &'a [i64],
    /// The points' prices.
    pub point_price: &'a [f64],
    /// How far inside of its threshold each condition is.
    pub margins: &'a [f64],
    /// What a rule, or an agreement, was made of.
    pub members: &'a [Member<'a>],
    /// Open, high, low and close of the bar.
    pub prices: [f64; 4],
    /// Shares.
    pub volume: i64,
    /// Percent, against the bar before.
    pub price_change: f64,
    /// Relative volume, RSI, relative strength.
    pub indicators: [f64; 3],
    /// The bits of [`crate::bar::quality`].
    pub quality: u8,
    /// What TA-Lib's function answers.
    pub talib_value: i32,
    /// What was measured of its like.
    pub rates: Rates,
    /// Whether the application's own table has it; else it is in the table of all events alone.
    pub shown: bool,
}

/// A pattern that a rule, or an agreement, was made of.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// It.
    pub pattern: &'a Naming,
    /// 1 bullish, -1 bearish, else neutral.
    pub direction: i32,
    /// 0 to 1.
    pub confidence: f64,
    /// How long the bar is on which it held.
    pub timeframe: Timeframe,
    /// START of that bar.
    pub ts_us: i64,
    /// Its END.
    pub end_us: i64,
    /// The id of its event; empty if the pattern is off.
    pub event_id: &'a str,
}

/// How often events were followed by what they say.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// 0 to 1, as the others are; NaN: nothing is known.
    pub hit_rate: f64,
    /// The ends of its interval.
    pub interval: [f64; 2],
    /// Events that it was measured of.
    pub n: i32,
    /// The same of any bar.
    pub base_rate: f64,
    /// 1 better than any bar, -1 worse, 0 neither.
    pub edge: i8,
    /// Of the event itself, where its confidence is the hit rate; NaN: its confidence is the match quality.
    pub match_quality: f64,
}

impl Rates {
    /// Of an event whose like nobody has measured.
    pub const UNKNOWN: Self = Self {
        hit_rate: f64::NAN,
        interval: [f64::NAN; 2],
        n: 0,
        base_rate: f64::NAN,
        edge: 0,
        match_quality: f64::NAN,
    };
}

impl Event<'_> {
    /// When it expires: so long after the bar's END, and not before the bar's own length.
    pub(super) fn expires_us(&self, lifetime_us: i64) -> i64 {
        self.end_us.saturating_add(lifetime_us.max(self.end_us.saturating_sub(self.ts_us)))
    }

    /// What a consumer sorts it by.
    pub(super) fn tier(&self) -> &str {
        self.pattern.tier.as_deref().unwrap_or_else(|| self.timeframe.tier())
    }

    pub(super) fn close(&self) -> f64 {
        self.prices[3]
    }

    pub(super) fn direction(&self) -> &'static str {
        quoted_direction(self.direction)
    }
}

pub(super) fn quoted_direction(direction: i32) -> &'static str {
    match direction {
        1 => r#""bullish""#,
        -1 => r#""bearish""#,
        _ => r#""neutral""#,
    }
}
