//! Agreement across timeframes: a chart pattern that those on longer bars point along with.

use arrayvec::ArrayVec;

use super::Direction::{self, Neutral};
use super::{Closing, Match, Pattern};
use crate::above::Above;
use crate::detection::Detection;
use crate::found::Found;
use crate::recent::{Past, is_chart};
use crate::rule::Ruleset;
use crate::rules::Rules;
use crate::timeframe::Timeframe;

/// Agreement across timeframes: a chart pattern, and others that point the same way on longer bars.
///
/// rule: on the bar that closes a chart pattern is confirmed; on one of the last three bars of a longer timeframe that is on,
/// as they had closed by then, one of the same direction was; and on the last three of any longer timeframe none of the
/// opposite direction. Of a session's bars those of the same session count, of days and weeks all.
///
/// confidence: the least of its members'.
///
/// stop, target and invalidation: those of the chart pattern on this bar.
///
/// Its members are that one, the clearest if there are several, and of each longer timeframe that agrees the clearest of the
/// newest bar that has any.
pub(crate) struct Agreement;

/// The members of longer timeframes, each with the rules of its own.
type Members<'a> = ArrayVec<(&'a Rules, Past), { Timeframe::COUNT }>;

impl Pattern for Agreement {
    fn id(&self) -> &'static str {
        "agreement"
    }

    fn name(&self) -> &'static str {
        "Agreement"
    }

    fn bars_needed(&self) -> usize {
        14
    }

    fn tier(&self) -> &'static str {
        "combo"
    }

    fn longest(&self) -> Timeframe {
        Timeframe::Daily
    }

    fn source(&self) -> &'static str {
        "Elder (1993), Trading for a Living: the triple screen; which patterns, how long and what they need is ours"
    }

    fn needs_study(&self) -> bool {
        true
    }

    fn is_of_others(&self) -> bool {
        true
    }

    fn detect(&self, at: &Closing<'_>) -> Option<Match> {
        // As a rule the bar confirms nothing, and longer bars, which are far away in memory, are not looked at.
        if at.study?.charts().kinds() == 0 {
            return None;
        }
        let direction = agreed(at.above)?;
        let here = at.held.iter().filter(|(pattern, found)| is_chart(*pattern) && found.direction == direction);
        let (_, trigger) = here.reduce(|one, other| if other.1.confidence > one.1.confidence { other } else { one })?;
        let least = |least: f64, (_, past): &(&Rules, Past)| least.min(past.held.confidence);
        let confidence = members(direction, at.above).iter().fold(trigger.confidence, least);
        Some(Match { confidence, talib_value: 0, ..*trigger })
    }
}

impl Agreement {
    /// Says of agreements what they were made of; `found`: what holds on their bar, whose rules are `rules`.
    pub(crate) fn explain(detections: &mut [Detection], found: &Found, above: Above<'_>, rules: &Ruleset) {
        let is_it = |detection: &&mut Detection| {
            let pattern = super::PATTERNS.get(usize::from(detection.pattern));
            detection.held && pattern.is_some_and(|pattern| pattern.is_of_others())
        };
        for detection in detections.iter_mut().filter(is_it) {
            let (direction, on) = (detection.direction, detection.on);
            let here = found.held().filter(|held| is_chart(held.pattern) && held.direction == direction);
            let trigger = here.reduce(|one, other| if other.confidence > one.confidence { other } else { one });
            let trigger = trigger.map(|held| {
                let past = Past { held: *held, ts_us: on.bar.ts_us, end_us: on.end_us, ago: 0 };
                past.made_of(on.timeframe, rules)
            });
            let members = members(direction, above);
            let longer = members.iter().map(|(rules, past)| past.made_of(rules.timeframe, &rules.combined));
            detection.explained.get_or_insert_default().made_of = trigger.into_iter().chain(longer).collect();
        }
    }
}

/// The one direction of the chart patterns of longer timeframes; `None` if there are none, or they contradict each other.
fn agreed(above: Above<'_>) -> Option<Direction> {
    let mut ways = above.charts().map(|(_, past)| past.held.direction).filter(|way| *way != Neutral);
    let first = ways.next()?;
    ways.all(|way| way == first).then_some(first)
}

fn members(direction: Direction, above: Above<'_>) -> Members<'_> {
    let mut members = Members::new();
    for (rules, past) in above.charts().filter(|(_, past)| past.held.direction == direction) {
        match members.last_mut() {
            Some((last, known)) if last.timeframe == rules.timeframe => {
                if past.ago == known.ago && past.held.confidence > known.held.confidence {
                    *known = past;
                }
            }
            _ => members.push((rules, past)),
        }
    }
    members
}
