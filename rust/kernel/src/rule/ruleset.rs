//! The rules of an engine, resolved.

use super::asked::{Asked, Here, Named, Of, Test};
use super::memory::Memory;
use super::{MOST_PARTS, MOST_RULES, Member, Operand, Rule};
use crate::above::Above;
use crate::detection::Detection;
use crate::error::KernelError;
use crate::pattern::{self, Closing, Match, PATTERNS};
use crate::study::Kernels;
use crate::timeframe::Timeframe;

/// The most bars back that a rule may ask for.
const MOST_BARS: u16 = 10_000;

/// The rules of an engine, in the order in which they are asked. Their places among all patterns are behind those of
/// [`PATTERNS`].
#[derive(Debug, Default)]
pub struct Ruleset {
    /// `None` for one of another timeframe.
    rules: Vec<Option<Asked>>,
    /// Id and parameters of each.
    names: Vec<(String, String)>,
    /// The pattern of each slot of a [`Memory`]: those that rules name, and the rules.
    slots: Vec<u16>,
    /// Those of them that are no rules.
    named: Vec<u16>,
    /// Patterns that rules name and that are off: they are looked for all the same.
    off: Vec<u16>,
    /// They, and rules that are not told: no word is said of them.
    silent: Vec<u16>,
    needs_study: bool,
    /// Whether a shorter timeframe looks back on chart patterns.
    keeps_charts: bool,
}

impl Ruleset {
    /// These rules, as far as they are of a timeframe; the others keep their places. `on`: the patterns that are on;
    /// `timeframes`: those that patterns are looked for on.
    ///
    /// # Errors
    /// [`KernelError::UnknownPattern`] for a name that is neither a pattern's nor a rule's before the one that has it;
    /// [`KernelError::Word`] for an id that is taken, and for a timeframe that a rule cannot see,
    /// [`KernelError::Setting`] for a number out of its range.
    pub fn new(
        rules: &[Rule],
        on: &[u16],
        timeframe: Timeframe,
        timeframes: &[Timeframe],
    ) -> Result<Self, KernelError> {
        let fault = |name, rule, value| Err(KernelError::Setting { name, rule, value });
        if rules.len() > MOST_RULES {
            return fault("rules", "at most 100", rules.len() as f64);
        }
        let mut set = Self::default();
        for rule in rules {
            if set.place_of(&rule.id).is_some() {
                let (name, rule, word) = ("rule", "an id that no pattern and no other rule has", rule.id.clone());
                return Err(KernelError::Word { name, rule, word });
            }
            let parts = rule.all.len() + rule.any.len();
            if parts > MOST_PARTS {
                return fault("parts of a rule", "at most 100", parts as f64);
            }
            if rule.cooldown > MOST_BARS {
                return fault("cooldown", "0 to 10,000", f64::from(rule.cooldown));
            }
            let place = (pattern::COUNT + set.rules.len()) as u16;
            let mut asked = None;
            if rule.timeframe == timeframe {
                let [all, any] = [&rule.all, &rule.any].map(|operands| set.resolved(operands, timeframe, timeframes));
                let (slot, direction, cooldown) = (set.slot_for(place), rule.direction, rule.cooldown);
                asked = Some(Asked { slot, direction, cooldown, all: all?, any: any? });
            } else {
                set.remember(rule, timeframe)?;
            }
            set.rules.push(asked);
            if !rule.told {
                set.silent.push(place);
            }
            set.names.push((rule.id.clone(), rule.parameters.clone()));
        }
        set.named = set.slots.iter().filter(|place| usize::from(**place) < pattern::COUNT).copied().collect();
        set.off = set.named.iter().filter(|place| !on.contains(place)).copied().collect();
        set.silent.extend(&set.off);
        Ok(set)
    }

    /// Keeps what a rule of a shorter timeframe asks for on bars of this one.
    fn remember(&mut self, rule: &Rule, timeframe: Timeframe) -> Result<(), KernelError> {
        for Member { pattern, .. } in rule.members().filter(|member| member.timeframe == Some(timeframe)) {
            let place = self.place_of(pattern).ok_or_else(|| KernelError::UnknownPattern(pattern.clone()))?;
            self.slot_for(place);
        }
        Ok(())
    }

    fn resolved(
        &mut self,
        operands: &[Operand],
        own: Timeframe,
        timeframes: &[Timeframe],
    ) -> Result<Vec<Test>, KernelError> {
        let test = |operand: &Operand| match operand {
            Operand::Held(Member { pattern, direction, within, timeframe }) => {
                if !(1..=MOST_BARS).contains(within) {
                    let value = f64::from(*within);
                    return Err(KernelError::Setting { name: "within", rule: "1 to 10,000", value });
                }
                let place = self.place_of(pattern).ok_or_else(|| KernelError::UnknownPattern(pattern.clone()))?;
                let of = match *timeframe {
                    Some(longer) if longer != own => {
                        if longer < own || !timeframes.contains(&longer) {
                            let (name, word) = ("timeframe of a rule's pattern", longer.name().to_owned());
                            let rule = "one of those that are on, and not shorter than the rule's";
                            return Err(KernelError::Word { name, rule, word });
                        }
                        Of::Longer(longer)
                    }
                    _ => Of::Own(self.slot_for(place)),
                };
                Ok(Test::Held(Named { pattern: place, of, direction: *direction, within: *within }))
            }
            Operand::Compared(compared) => {
                let terms = compared.left.0.iter().chain(&compared.right.0);
                self.needs_study |= terms.filter_map(|(_, value)| *value).any(super::Value::needs_study);
                Ok(Test::Compared(compared.clone()))
            }
        };
        operands.iter().map(test).collect()
    }

    fn slot_for(&mut self, place: u16) -> usize {
        self.slot_of(place).unwrap_or_else(|| {
            self.slots.push(place);
            self.slots.len() - 1
        })
    }

    /// The same, and these patterns looked for even if they are off, and then not told.
    #[must_use]
    pub(crate) fn with(mut self, places: impl Iterator<Item = u16>, on: &[u16]) -> Self {
        for place in places.filter(|place| !on.contains(place)) {
            if !self.off.contains(&place) {
                self.off.push(place);
                self.silent.push(place);
            }
        }
        self
    }

    /// The same, and the newest chart patterns kept for shorter timeframes.
    #[must_use]
    pub(crate) fn keeping_charts(self, keeps_charts: bool) -> Self {
        Self { keeps_charts, ..self }
    }

    /// Whether a shorter timeframe looks back on chart patterns.
    pub(crate) fn keeps_charts(&self) -> bool {
        self.keeps_charts
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How many patterns there are with them.
    #[must_use]
    pub fn patterns(&self) -> usize {
        pattern::COUNT + self.rules.len()
    }

    /// The id of a pattern or rule by its place; nothing where there is none.
    #[must_use]
    pub fn pattern_id(&self, place: u16) -> &str {
        match PATTERNS.get(usize::from(place)) {
            Some(pattern) => pattern.id(),
            None => self.name(place).map_or("", |(id, _)| id),
        }
    }

    /// What stands for its definition in its events' ids.
    #[must_use]
    pub fn parameters(&self, place: u16) -> &str {
        match PATTERNS.get(usize::from(place)) {
            Some(pattern) => pattern.parameters(),
            None => self.name(place).map_or("", |(_, parameters)| parameters),
        }
    }

    /// See [`Pattern::flags`]; of a rule, those of all that it asks for.
    ///
    /// [`Pattern::flags`]: crate::pattern::Pattern::flags
    pub(crate) fn flags(&self, place: u16, at: &Closing<'_>) -> u8 {
        let rule = || self.rules.get(usize::from(place).checked_sub(pattern::COUNT)?)?.as_ref();
        match PATTERNS.get(usize::from(place)) {
            Some(pattern) => pattern.flags(at),
            None => rule().map_or(0, |rule| rule.flags(self, at)),
        }
    }

    fn name(&self, place: u16) -> Option<&(String, String)> {
        self.names.get(usize::from(place).checked_sub(pattern::COUNT)?)
    }

    /// The place of the pattern or rule that has this id.
    #[must_use]
    pub fn place_of(&self, id: &str) -> Option<u16> {
        let ids = PATTERNS.iter().map(|pattern| pattern.id()).chain(self.names.iter().map(|(id, _)| id.as_str()));
        (0u16..).zip(ids).find(|(_, each)| *each == id).map(|(place, _)| place)
    }

    /// The patterns that they are made of.
    pub(crate) fn named(&self) -> &[u16] {
        &self.named
    }

    /// Those of them that are off.
    pub(crate) fn off(&self) -> &[u16] {
        &self.off
    }

    /// Whether what is found of a pattern is told.
    pub(crate) fn is_told(&self, place: u16) -> bool {
        !self.silent.contains(&place)
    }

    /// Whether one of them reads a study.
    pub(crate) fn needs_study(&self) -> bool {
        self.needs_study
    }

    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn slot_of(&self, place: u16) -> Option<usize> {
        self.slots.iter().position(|each| *each == place)
    }

    /// Adds the rules that hold on a bar to the patterns that do; a rule may ask for those before it. O(rules).
    pub(crate) fn extend<const N: usize>(
        &self,
        matches: &mut arrayvec::ArrayVec<(u16, Match), N>,
        at: &Closing<'_>,
        memory: &Memory,
        kernels: &Kernels,
    ) {
        for (place, rule) in (pattern::COUNT as u16..).zip(&self.rules) {
            let found = rule.as_ref().and_then(|rule| rule.verdict(&Here { at, kernels, matches, memory }));
            matches.extend(found.map(|found| (place, found)));
        }
    }

    /// Says of those that are rules' what they were made of; `memory` knows of their bar, which sees what is `above`.
    pub(crate) fn explain(&self, detections: &mut [Detection], memory: &Memory, above: Above<'_>) {
        for detection in detections.iter_mut().filter(|detection| detection.held) {
            let place = usize::from(detection.pattern).checked_sub(pattern::COUNT);
            if let Some(rule) = place.and_then(|place| self.rules.get(place)?.as_ref()) {
                let made_of = rule.made_of(detection.direction, detection.on.timeframe, memory, above, self);
                detection.explained.get_or_insert_default().made_of = made_of;
            }
        }
    }
}
