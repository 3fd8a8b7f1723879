//! A rule whose patterns are known by their places, and what it says of a bar.

use super::memory::Memory;
use super::{Comparison, MadeOf, Ruleset, Side};
use crate::above::Above;
use crate::pattern::Direction::{self, Bearish, Bullish, Neutral};
use crate::pattern::{Closing, Levels, Match};
use crate::recent::Past;
use crate::rules::Rules;
use crate::study::Kernels;
use crate::timeframe::Timeframe;

/// What a bar shows: itself, the patterns that hold on it so far, and those of the bars before.
#[derive(Clone, Copy)]
pub(crate) struct Here<'a> {
    pub(crate) at: &'a Closing<'a>,
    pub(crate) kernels: &'a Kernels,
    pub(crate) matches: &'a [(u16, Match)],
    pub(crate) memory: &'a Memory,
}

/// A rule.
#[derive(Debug)]
pub(super) struct Asked {
    /// Where it is remembered itself.
    pub(super) slot: usize,
    pub(super) direction: Option<Direction>,
    pub(super) cooldown: u16,
    pub(super) all: Vec<Test>,
    pub(super) any: Vec<Test>,
}

/// What it asks.
#[derive(Debug)]
pub(super) enum Test {
    Held(Named),
    Compared(Comparison),
}

/// A pattern by its place.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) pattern: u16,
    pub(super) of: Of,
    pub(super) direction: Option<Direction>,
    pub(super) within: u16,
}

/// On whose bars a pattern is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    /// The rule's own; where it is remembered.
    Own(usize),
    /// Those of a longer timeframe.
    Longer(Timeframe),
}

/// How something holds.
#[derive(Clone, Copy)]
struct Answer {
    confidence: f64,
    /// The newest bars that were looked at.
    bars: u16,
    levels: Option<Levels>,
    /// Whether a pattern in it points the way that was asked for, of itself.
    points: bool,
}

impl Asked {
    /// What it says of a bar; `None` if it does not hold there, or rests.
    pub(super) fn verdict(&self, here: &Here<'_>) -> Option<Match> {
        let rests = |way| here.memory.seen(self.slot, way).is_some_and(|seen| seen.is_within(self.cooldown));
        if [Bearish, Neutral, Bullish].into_iter().any(rests) {
            return None;
        }
        let (way, answer) = match self.direction {
            Some(way) => (way, self.answer(way, here)?),
            None => self.agreed(here)?,
        };
        let entry = here.at.window.bar(0)?.close;
        let levels = Levels { entry, ..answer.levels.unwrap_or(Levels::bare(entry)) };
        Some(Match { direction: way, confidence: answer.confidence, bars: answer.bars, levels, talib_value: 0 })
    }

    /// The one way in which its patterns agree. Where they do so both ways, an older one against a newer one, there is none.
    fn agreed(&self, here: &Here<'_>) -> Option<(Direction, Answer)> {
        let pointed = |way| self.answer(way, here).filter(|answer| answer.points).map(|answer| (way, answer));
        match (pointed(Bullish), pointed(Bearish)) {
            (Some(_), Some(_)) => None,
            (None, None) => self.answer(Neutral, here).map(|answer| (Neutral, answer)),
            (one, other) => one.or(other),
        }
    }

    /// How it holds one way.
    fn answer(&self, way: Direction, here: &Here<'_>) -> Option<Answer> {
        let mut whole = Answer { confidence: 1.0, bars: 1, levels: None, points: false };
        for test in &self.all {
            let part = self.part(test, way, here)?;
            whole = whole.with(part, whole.confidence.min(part.confidence));
        }
        let parts = self.any.iter().filter_map(|test| self.part(test, way, here));
        match parts.reduce(|one, other| one.with(other, one.confidence.max(other.confidence))) {
            Some(best) => Some(whole.with(best, whole.confidence.min(best.confidence))),
            None => Some(whole).filter(|_| self.any.is_empty()),
        }
    }

    fn part(&self, test: &Test, way: Direction, here: &Here<'_>) -> Option<Answer> {
        match test {
            Test::Held(named) => named.answer(self.direction, way, here),
            Test::Compared(compared) => {
                let Comparison { left, relation, right } = compared;
                let holds = relation.holds(left.read(here), right.read(here));
                holds.then_some(Answer { confidence: 1.0, bars: 1, levels: None, points: false })
            }
        }
    }

    /// What may be missing from what it asks for beyond its bars.
    pub(super) fn flags(&self, rules: &Ruleset, at: &Closing<'_>) -> u8 {
        let of = |test: &Test| match test {
            Test::Held(named) => rules.flags(named.pattern, at),
            Test::Compared(Comparison { left, right, .. }) => {
                let values = left.0.iter().chain(&right.0).filter_map(|(_, value)| *value);
                values.fold(0, |flags, value| flags | value.flags(at))
            }
        };
        self.all.iter().chain(&self.any).fold(0, |flags, test| flags | of(test))
    }

    /// The patterns that it was made of where it has held this way on the newest bar that is remembered.
    pub(super) fn made_of(
        &self,
        way: Direction,
        timeframe: Timeframe,
        memory: &Memory,
        above: Above<'_>,
        rules: &Ruleset,
    ) -> Vec<MadeOf> {
        let named = self.all.iter().chain(&self.any).filter_map(|test| match test {
            Test::Held(named) => Some(named),
            Test::Compared(_) => None,
        });
        let made_of = |named: &Named| match named.of {
            Of::Own(slot) => {
                let past = named.remembered(slot, self.direction, way, memory, named.within)?;
                Some(past.made_of(timeframe, rules))
            }
            Of::Longer(longer) => {
                let (rules, past) = named.above(longer, self.direction, way, above)?;
                Some(past.made_of(longer, &rules.combined))
            }
        };
        named.filter_map(made_of).collect()
    }
}

impl Answer {
    /// Both together.
    fn with(self, other: Self, confidence: f64) -> Self {
        Self {
            confidence,
            bars: self.bars.max(other.bars),
            levels: self.levels.or(other.levels),
            points: self.points || other.points,
        }
    }
}

impl Named {
    /// Whether a pattern that points `held` goes along with a rule of a direction that is asked about one way.
    fn accepts(&self, rule: Option<Direction>, way: Direction, held: Direction) -> bool {
        match self.direction {
            Some(own) => held == own,
            None => rule == Some(Neutral) || held == way || held == Neutral,
        }
    }

    fn answer(&self, rule: Option<Direction>, way: Direction, here: &Here<'_>) -> Option<Answer> {
        let points = |held| self.direction.is_none() && held == way && way != Neutral;
        let slot = match self.of {
            Of::Own(slot) => slot,
            Of::Longer(timeframe) => {
                let (_, past) = self.above(timeframe, rule, way, here.at.above)?;
                let points = points(past.held.direction);
                // How far back it looks is no number of the rule's own bars.
                return Some(Answer { confidence: past.held.confidence, bars: 1, levels: None, points });
            }
        };
        let is_it =
            |(pattern, found): &&(u16, Match)| *pattern == self.pattern && self.accepts(rule, way, found.direction);
        if let Some((_, found)) = here.matches.iter().find(is_it) {
            let levels = Some(found.levels).filter(|levels| found.direction == way && levels.stop.is_some());
            let Match { direction, confidence, bars, .. } = *found;
            return Some(Answer { confidence, bars, levels, points: points(direction) });
        }
        // What is remembered does not know of this bar yet.
        let past = self.remembered(slot, rule, way, here.memory, self.within.saturating_sub(1))?;
        let bars = past.ago + 2;
        Some(Answer { confidence: past.held.confidence, bars, levels: None, points: points(past.held.direction) })
    }

    /// When it last held, on one of the newest `bars` of the rule's own that are remembered.
    fn remembered(
        &self,
        slot: usize,
        rule: Option<Direction>,
        way: Direction,
        memory: &Memory,
        bars: u16,
    ) -> Option<Past> {
        let (held, seen) = memory.newest(slot, bars, |held| self.accepts(rule, way, held))?;
        Some(seen.past(self.pattern, held))
    }

    /// When it last held on the bars of a longer timeframe, with the rules of that.
    fn above<'a>(
        &self,
        timeframe: Timeframe,
        rule: Option<Direction>,
        way: Direction,
        above: Above<'a>,
    ) -> Option<(&'a Rules, Past)> {
        above.newest(timeframe, self.pattern, self.within, |held| self.accepts(rule, way, held))
    }
}

impl Side {
    fn read(&self, here: &Here<'_>) -> f64 {
        let term = |&(factor, value): &(f64, Option<super::Value>)| match value {
            Some(value) => factor * value.read(here.at, here.kernels),
            None => factor,
        };
        self.0.iter().map(term).reduce(|sum, term| sum + term).unwrap_or(f64::NAN)
    }
}
