//! Rules: patterns that are made of others and of comparisons, by data in place of code.
//!
//! What is handed over is plain data, read and checked by somebody else; here it is only resolved ([`Ruleset`]) and
//! evaluated when a bar closes, after the bar's patterns. A rule depends on the symbol's own bars alone, so that batch,
//! stream and snapshot agree, and knows of earlier bars only what its session has seen ([`memory`]), and of those of longer
//! timeframes what had closed by then ([`crate::above`]).

mod asked;
pub(crate) mod memory;
mod ruleset;
mod value;

pub use ruleset::Ruleset;
pub use value::Value;

use serde::Serialize;

use crate::pattern::Direction;
use crate::timeframe::Timeframe;

/// The most rules of an engine.
pub const MOST_RULES: usize = 100;

/// The most that a rule asks.
pub const MOST_PARTS: usize = 100;

/// A rule: it holds on a bar on which all of `all` and one of `any` do.
///
/// confidence: the lowest of `all`, the highest of those of `any` that hold, and of both the lower; a comparison has 1.
/// A rule of comparisons alone has 1.
/// levels: entry is the close; the others are those of the first pattern named that ends on this bar, points the rule's
/// way and has a stop.
///
/// Source: Zadeh (1965), Fuzzy Sets: what must hold together is as true as the least of it, what may as the most.
#[derive(Clone, Debug, Serialize)]
pub struct Rule {
    /// Lower-case identity, part of every event's id.
    pub id: String,
    /// Part of every event's id, too: another one whenever the rule's definition is.
    pub parameters: String,
    /// On whose bars it is decided.
    pub timeframe: Timeframe,
    /// Which way it points; `None`: the way in which all its patterns agree, those that expect nothing aside.
    pub direction: Option<Direction>,
    /// Bars after it has held in which it is not looked for, within a session.
    pub cooldown: u16,
    /// What must hold.
    pub all: Vec<Operand>,
    /// Of which one must hold, if there is any.
    pub any: Vec<Operand>,
    /// Whether events are made of it; else it is there for other rules to name.
    pub told: bool,
}

impl Rule {
    /// The patterns that it names.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.all.iter().chain(&self.any).filter_map(|operand| match operand {
            Operand::Held(member) => Some(member),
            Operand::Compared(_) => None,
        })
    }
}

/// What a rule asks.
#[derive(Clone, Debug, Serialize)]
pub enum Operand {
    /// That a pattern holds, or has just held.
    Held(Member),
    /// That a number is above or below another one.
    Compared(Comparison),
}

/// A pattern that a rule names.
#[derive(Clone, Debug, Serialize)]
pub struct Member {
    /// Its id: of a pattern, or of a rule before this one.
    pub pattern: String,
    /// Which way it must point. `None`: not against the rule's; where the rule expects nothing, any.
    pub direction: Option<Direction>,
    /// On one of so many bars of the session, the newest included; at least 1.
    pub within: u16,
    /// On whose bars, if not on the rule's own: a longer timeframe that is on. Its newest bar is the last that was over by the end
    /// of the rule's.
    pub timeframe: Option<Timeframe>,
}

/// Two numbers beside each other. One that is not there yet is NaN, and compares false.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// What stands before the sign.
    pub left: Side,
    /// The sign.
    pub relation: Relation,
    /// What stands behind it.
    pub right: Side,
}

/// A sum, added up in order: a factor each, times a value, or alone.
#[derive(Clone, Debug, Serialize)]
pub struct Side(pub Vec<(f64, Option<Value>)>);

/// How two numbers stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Relation {
    /// <
    Below,
    /// <=
    AtMost,
    /// >
    Above,
    /// >=
    AtLeast,
}

impl Relation {
    /// The one that a sign means.
    #[must_use]
    pub fn of(sign: &str) -> Option<Self> {
        match sign {
            "<" => Some(Self::Below),
            "<=" => Some(Self::AtMost),
            ">" => Some(Self::Above),
            ">=" => Some(Self::AtLeast),
            _ => None,
        }
    }

    /// Whether two numbers stand so; never for NaN.
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Below => left < right,
            Self::AtMost => left <= right,
            Self::Above => left > right,
            Self::AtLeast => left >= right,
        }
    }
}

/// A pattern that a rule, or an agreement, was made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MadeOf {
    /// Its place among all patterns.
    pub pattern: u16,
    /// Which way it pointed.
    pub direction: Direction,
    /// What was said of it.
    pub confidence: f64,
    /// How long the bar was on which it held.
    pub timeframe: Timeframe,
    /// START of that bar, µs.
    pub ts_us: i64,
    /// Its END.
    pub end_us: i64,
    /// The evaluation of that bar at which it began to hold; `None` if it is off, and no event was made of it.
    pub evaluation: Option<u32>,
}
