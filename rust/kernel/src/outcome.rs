//! What an event can come to, and how one event is judged.
//!
//! The rule is `barriers.py`'s, bar by bar. An event waits for at most `horizon` bars of its symbol that lie in its session. A
//! bar that touches both prices of a pair has lost; after the last bar that it waits for it is expired.

use crate::calendar::Calendar;
use crate::event::EventId;

/// What all events of a timeframe are judged by.
#[derive(Debug)]
pub struct Terms {
    /// Bars that an event waits for at most.
    pub horizon: u32,
    /// How far the barriers lie from its close, in average true ranges.
    pub barrier: f64,
    /// A bar's length, µs.
    pub interval_us: i64,
    /// How long after its end a bar may be revised, µs.
    pub revise_us: i64,
    /// The sessions with which events end; `None`: they outlast them.
    pub calendar: Option<Calendar>,
}

/// A bar, as far as it decides anything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Its START, µs.
    pub ts_us: i64,
    /// Its highest price.
    pub high: f64,
    /// Its lowest price.
    pub low: f64,
    /// Its last price.
    pub close: f64,
}

/// An event, as far as it can come to anything. NaN: there is no such price.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// Who it is.
    pub id: EventId,
    /// START of the bar that it ends on, µs.
    pub ts_us: i64,
    /// Below 0: it gains from falling prices. A neutral one is measured as if it said up.
    pub direction: i32,
    /// Close of that bar.
    pub close: f64,
    /// Average true range there.
    pub atr: f64,
    /// Its own levels.
    pub levels: Levels,
}

/// Prices of an event's own.
#[derive(Clone, Copy, Debug)]
pub struct Levels {
    /// Where it begins.
    pub entry: f64,
    /// Where it has failed.
    pub stop: f64,
    /// Where it has come true.
    pub target: f64,
}

/// How an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum End {
    /// Its target was touched first.
    Target = 0,
    /// Its stop was, or both within one bar.
    Stop = 1,
    /// Neither, or it has not both.
    Expired = 2,
}

impl End {
    /// All of them, in the order of their numbers, by name.
    pub const NAMES: [&str; 3] = ["target", "stop", "expired"];
}

/// What the barriers say of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Verdict {
    /// The one in its direction was touched first.
    Won = 1,
    /// The other one was, or both within one bar.
    Lost = -1,
    /// Neither.
    Unresolved = 0,
    /// Neither yet.
    Open = 2,
    /// It has none: there was no range.
    Unmeasured = 3,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Of which.
    pub id: EventId,
    /// START of its own bar, µs.
    pub ts_us: i64,
    /// How it ended.
    pub end: End,
    /// START of the bar at which it did, µs.
    pub at_us: i64,
    /// How many bars after its own that is.
    pub bars: u32,
    /// The level that was touched, or the close of that bar.
    pub price: f64,
    /// What the barriers say; if they are still open, it is told once more when they are not.
    pub verdict: Verdict,
    /// How many bars after its own a barrier was touched; 0: none was.
    pub verdict_bars: u32,
}

/// Where and when one of a pair of prices was touched.
#[derive(Clone, Copy, Debug)]
struct Touch {
    gained: bool,
    at_us: i64,
    bars: u32,
}

/// Two prices, of which one is touched first.
#[derive(Clone, Copy, Debug)]
struct Pair {
    gain: f64,
    loss: f64,
}

impl Pair {
    /// `None` if there is nothing between them, or no second one.
    fn around(entry: f64, loss: f64, gain: f64) -> Option<Self> {
        let lies_between = loss < entry && entry < gain || gain < entry && entry < loss;
        lies_between.then_some(Self { gain, loss })
    }

    fn upper(self) -> f64 {
        self.gain.max(self.loss)
    }

    fn lower(self) -> f64 {
        self.gain.min(self.loss)
    }

    fn touched(self, bar: &Bar, bars: u32) -> Option<Touch> {
        let (rose, fell) = (bar.high >= self.upper(), bar.low <= self.lower());
        let gained = rose != fell && rose == (self.gain > self.loss);
        (rose || fell).then_some(Touch { gained, at_us: bar.ts_us, bars })
    }
}

/// What the bars after an event have come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    levels: Option<Touch>,
    barriers: Option<Touch>,
    /// How many it has waited for, and the newest of them.
    bars: u32,
    last: (i64, f64),
    is_over: bool,
}

/// When an event is to be judged again: not before a bar touches one of its prices, or it has waited long enough.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    pub(crate) upper: f64,
    pub(crate) lower: f64,
    /// Bars that may still come.
    pub(crate) left: u32,
}

/// An event that is not through.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) id: EventId,
    pub(crate) ts_us: i64,
    /// The end of its session, µs.
    pub(crate) until_us: i64,
    close: f64,
    levels: Option<Pair>,
    barriers: Option<Pair>,
    /// What was said of it: only its verdict is still to come.
    told: Option<Outcome>,
}

impl Waiting {
    pub(crate) fn new(event: &Event, terms: &Terms) -> Self {
        let Levels { entry, stop, target } = event.levels;
        let reach = terms.barrier * event.atr * if event.direction < 0 { -1.0 } else { 1.0 };
        let barriers = Pair { gain: event.close + reach, loss: event.close - reach };
        Self {
            id: event.id,
            ts_us: event.ts_us,
            until_us: terms.calendar.as_ref().map_or(i64::MAX, |calendar| calendar.end_at(event.ts_us)),
            close: event.close,
            levels: Pair::around(entry, stop, target),
            barriers: (event.atr > 0.0).then_some(barriers),
            told: None,
        }
    }

    /// Judges it by all bars after it. `is_closed`: no more of them can come.
    pub(crate) fn judged<'a>(&self, bars: impl Iterator<Item = &'a Bar>, terms: &Terms, is_closed: bool) -> Judged {
        let mut judged =
            Judged { levels: None, barriers: None, bars: 0, last: (self.ts_us, self.close), is_over: is_closed };
        for bar in bars {
            if bar.ts_us >= self.until_us || judged.bars >= terms.horizon {
                judged.is_over = true;
                break;
            }
            judged.bars += 1;
            judged.last = (bar.ts_us, bar.close);
            let touched = |pair: Option<Pair>| pair.and_then(|pair| pair.touched(bar, judged.bars));
            judged.levels = judged.levels.or_else(|| touched(self.levels));
            judged.barriers = judged.barriers.or_else(|| touched(self.barriers));
            judged.is_over |= self.is_last(bar, terms);
        }
        judged.is_over |= judged.bars >= terms.horizon;
        judged
    }

    /// Whether no bar of its session comes after this one.
    pub(crate) fn is_last(&self, bar: &Bar, terms: &Terms) -> bool {
        bar.ts_us.saturating_add(terms.interval_us) >= self.until_us
    }

    fn verdict(&self, judged: &Judged) -> (Verdict, u32) {
        match (self.barriers, judged.barriers) {
            (None, _) => (Verdict::Unmeasured, 0),
            (_, Some(Touch { gained: true, bars, .. })) => (Verdict::Won, bars),
            (_, Some(touch)) => (Verdict::Lost, touch.bars),
            _ if judged.is_over => (Verdict::Unresolved, 0),
            _ => (Verdict::Open, 0),
        }
    }

    /// What there is to say now that was not said before.
    pub(crate) fn news(&mut self, judged: &Judged) -> Option<Outcome> {
        let (verdict, verdict_bars) = self.verdict(judged);
        if let Some(told) = self.told {
            return (verdict != Verdict::Open).then_some(Outcome { verdict, verdict_bars, ..told });
        }
        let (end, at_us, bars, price) = match (self.levels, judged.levels) {
            (Some(pair), Some(Touch { gained: true, at_us, bars })) => (End::Target, at_us, bars, pair.gain),
            (Some(pair), Some(Touch { at_us, bars, .. })) => (End::Stop, at_us, bars, pair.loss),
            _ if judged.is_over => (End::Expired, judged.last.0, judged.bars, judged.last.1),
            _ => return None,
        };
        let said = Outcome { id: self.id, ts_us: self.ts_us, end, at_us, bars, price, verdict, verdict_bars };
        self.told = Some(said);
        Some(said)
    }

    /// When it is to be judged again; `None`: nothing more is to be said of it.
    pub(crate) fn watch(&self, judged: &Judged, terms: &Terms) -> Option<Watch> {
        if self.told.is_some() && self.verdict(judged).0 != Verdict::Open {
            return None;
        }
        let levels = self.levels.filter(|_| judged.levels.is_none());
        let pairs = [levels, self.barriers.filter(|_| judged.barriers.is_none())];
        let open = || pairs.iter().flatten();
        Some(Watch {
            upper: open().map(|pair| pair.upper()).fold(f64::INFINITY, f64::min),
            lower: open().map(|pair| pair.lower()).fold(f64::NEG_INFINITY, f64::max),
            left: terms.horizon.saturating_sub(judged.bars),
        })
    }
}
