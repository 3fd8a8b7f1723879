//! A bar that becomes the window's newest, and which patterns hold on it.

use std::cell::OnceCell;
use std::panic::{self, AssertUnwindSafe};

use arrayvec::ArrayVec;

use super::History;
use crate::bar::quality;
use crate::detection::{About, Detail, Detection, On};
use crate::pattern::{self, Agreement, Closing, Match, Pattern};
use crate::rule::MOST_RULES;
use crate::rules::{Reach, Rules};
use crate::sealed::Sealed;
use crate::session::Session;
use crate::trail::Trail;
use crate::window::WindowBar;

impl History {
    /// Makes a bar the window's newest, and moves what is kept beside the window on.
    pub(super) fn enter(&mut self, stretch: Option<Session>, bar: WindowBar, rules: &Rules) -> WindowBar {
        let bar = bar.opening(self.now.enter(rules.stands_in(stretch)));
        let session = stretch.map(|stretch| stretch.open_us);
        self.closes_us = stretch.map_or(i64::MAX, |stretch| stretch.close_us);
        if let Some(candles) = &mut self.candles {
            candles.enter(session, &self.window, &());
        }
        if let Some(study) = &mut self.study {
            study.enter(session, &self.window, &rules.study);
        }
        if let Some(on) = &rules.indicators {
            self.gauges.enter(session, &self.window, on);
        }
        if let Some(volumes) = &mut self.volumes {
            volumes.push(&bar, &self.now.range);
        }
        self.window.push(bar);
        if let Some(candles) = &mut self.candles {
            candles.push(&bar, &self.window, &());
        }
        if let Some(study) = &mut self.study {
            study.push(&bar, &self.window, &rules.study);
        }
        bar
    }

    /// Puts the bar of a sealed one into the window and says which patterns came and went with it. `None`: nobody is told, of
    /// a bar that is looked at for the first time.
    pub(super) fn evaluate(
        &mut self,
        bar: WindowBar,
        sealed: &mut Sealed,
        rules: Reach<'_>,
        detections: Option<&mut Vec<Detection>>,
    ) {
        let bar = self.enter(sealed.session, bar, &rules);
        if let Some(on) = &rules.indicators {
            self.gauges.read(&bar, &self.window, on);
        }
        let mut matches: Matches = ArrayVec::new();
        let candles = self.candles.as_deref().map(Trail::now);
        let study = self.study.as_deref().map(Trail::now);
        let above = match (&self.longer, &rules.rules.longer) {
            (Some(longer), Some(rules)) => longer.above(rules),
            _ => rules.above,
        };
        let above = above.at(sealed.end_us, sealed.open_us());
        let (window, session, volumes) = (&self.window, &self.now.range, self.volumes.as_deref());
        let at = Closing { window, session, candles, study, volumes, held: &[], above };
        if bar.quality & quality::PARTIAL == 0 {
            let silent = self.now.rests.and(&self.broken);
            let is_asked = |(id, _): &&(u16, &'static dyn Pattern)| !silent.has(*id);
            let on = || rules.detectors.on(candles, study).filter(is_asked);
            let last = || rules.detectors.last().iter().filter(is_asked);
            let all = AssertUnwindSafe(|| {
                // Not a loop: what is chained would be asked at each step which of its parts it has come to.
                on().for_each(|&(id, pattern)| matches.extend(pattern.detect(&at).map(|matched| (id, matched))));
                for &(id, pattern) in last() {
                    let found = pattern.detect(&Closing { held: &matches, ..at });
                    matches.extend(found.map(|matched| (id, matched)));
                }
            });
            if panic::catch_unwind(all).is_err() {
                let guilty = guilty(on().chain(last()), &at, &mut matches);
                self.broken.extend(guilty);
            }
            rules.combined.extend(&mut matches, &at, &self.now.memory, &rules.study);
        }
        let Some(detections) = detections else {
            sealed.found.hold(&matches, sealed.evaluation);
            self.now.push(&bar, sealed.end_us, &sealed.found, &rules.combined);
            return;
        };
        let about = OnceCell::new();
        let newest = || About::newest(&self.window, self.gauges.rsi(), rules.benchmark.strength(&self.window));
        let detail = |pattern, matched| {
            let flags = rules.combined.flags(pattern, &at);
            Detail::of(&at, pattern, matched, flags, about.get_or_init(newest))
        };
        let on = On { bar, timeframe: rules.timeframe, end_us: sealed.end_us };
        let before = detections.len();
        sealed.found.renew(&matches, sealed.evaluation, on, &rules.combined, detail, detections);
        self.now.push(&bar, sealed.end_us, &sealed.found, &rules.combined);
        let said = &mut detections[before..];
        rules.combined.explain(said, &self.now.memory, above);
        Agreement::explain(said, &sealed.found, above, &rules.combined);
    }
}

/// The patterns that hold on a bar.
type Matches = ArrayVec<(u16, Match), { pattern::COUNT + MOST_RULES }>;

/// Looks for patterns one by one after a panic among them: `matches` become those of the others, the guilty ones come
/// back. A panic is a bug of ours; it costs the symbol a pattern and nobody else anything.
fn guilty<'a>(
    on: impl Iterator<Item = &'a (u16, &'static dyn Pattern)>,
    at: &Closing<'_>,
    matches: &mut Matches,
) -> Vec<u16> {
    matches.clear();
    let mut guilty = Vec::new();
    for &(id, pattern) in on {
        let asked = AssertUnwindSafe(|| pattern.detect(&Closing { held: matches, ..*at }));
        match panic::catch_unwind(asked) {
            Ok(found) => matches.extend(found.map(|matched| (id, matched))),
            Err(_) => guilty.push(id),
        }
    }
    guilty
}
