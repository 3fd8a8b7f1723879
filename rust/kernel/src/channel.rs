//! One input channel: its event time, what it holds back, which minutes it has open, which it may have missed.

use std::collections::VecDeque;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bar::quality;
use crate::decode::Decoder;
use crate::snapshot::{FEW, Sound, holds, is_near};
use crate::symbol::SymbolId;
use crate::tick::{Kind, Tick};
use crate::time::{MINUTE_US, SECOND_US, minute_of};

/// How far ahead of the event time a stamp may lie, beyond the silence, before it is held.
const AHEAD_US: i64 = MINUTE_US;

/// Silence closes this much later than a tick would.
const QUIET_US: i64 = SECOND_US;

/// A number so little behind the newest one is that of a tick which came twice: by two taps, or sent again.
const REPEATED: i64 = 1024;

/// A tick so far ahead of the first one after a gap, and a lateness more, is no sign that the first was late.
const LATEST_US: i64 = 20 * SECOND_US;

/// Stretches that are remembered: more minutes apart than can be revised.
const MOST_FLAGGED: usize = 32;

/// A minute and who has an open bar in it, in opening order.
#[derive(Debug, Serialize, Deserialize)]
struct OpenMinute {
    minute_us: i64,
    /// The number of the message that opened it.
    first_src: i64,
    symbols: Vec<SymbolId>,
}

/// A tick far ahead of its feed, kept until the next one shows which of the two is wrong.
#[derive(Debug)]
pub struct Held {
    ticker: Vec<u8>,
    tick: Tick<'static>,
    /// The tick's own JSON.
    pub raw: Vec<u8>,
    /// The number of its message.
    pub src: i64,
}

impl Held {
    /// Copies a tick out of its message.
    #[must_use]
    pub fn new(tick: &Tick<'_>, raw: &[u8], src: i64) -> Self {
        Self { ticker: tick.ticker.to_vec(), tick: Tick { ticker: b"", ..*tick }, raw: raw.to_vec(), src }
    }

    /// The one tick of a message that was kept.
    #[must_use]
    pub fn read(raw: &[u8], src: i64) -> Option<Self> {
        let mut found = None;
        Decoder::default().decode(&[raw], |_, tick, raw| found = tick.ok().map(|tick| Self::new(&tick, raw, src)));
        found
    }

    /// The tick as it came.
    #[must_use]
    pub fn tick(&self) -> Tick<'_> {
        Tick { ticker: &self.ticker, ..self.tick }
    }
}

/// Its message and the number of that, of which the tick is made again.
impl Serialize for Held {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (self.src, &self.raw).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Held {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (src, raw) = <(i64, Vec<u8>)>::deserialize(from)?;
        Self::read(&raw, src).ok_or_else(|| Error::custom("what is held is no tick"))
    }
}

/// Minutes in which ticks of this channel may be missing.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Flagged {
    pub(crate) from_us: i64,
    pub(crate) to_us: i64,
    pub(crate) flag: u8,
}

/// The state of one channel. Event time decides; a clock only helps a quiet channel along.
#[derive(Debug, Serialize, Deserialize)]
pub struct Channel {
    /// E: the highest accepted stamp, µs.
    pub(crate) event_us: Option<i64>,
    /// When E last moved, in the caller's time.
    pub(crate) moved_us: i64,
    /// When listening last began, in the caller's time: silence closes nothing for what was not listened to.
    pub(crate) listening_us: i64,
    /// At most one tick that is far ahead.
    pub held: Option<Held>,
    /// Open minutes by kind (A, T), oldest first.
    open: [VecDeque<OpenMinute>; 2],
    /// The event time at which the next open minute is final; `None` with nothing open.
    #[serde(skip)]
    due_us: Option<i64>,
    /// Emptied lists, to be filled again.
    #[serde(skip)]
    spare: Vec<Vec<SymbolId>>,
    /// A flag that waits for the next tick to say up to which minute it holds, and E when listening stopped.
    pub(crate) pending: Option<(u8, Option<i64>)>,
    /// Of one that ticks were heard for: from which stamp on, and after which time, in the caller's, it waits no more.
    pub(crate) over: Option<(i64, i64)>,
    /// Whether that is of a time in which nobody listened, and no channel has been heard since.
    pub(crate) deaf: bool,
    /// Oldest first.
    pub(crate) flagged: VecDeque<Flagged>,
    /// The newest number of its ticks, where they are numbered, and how many without a number were refused since.
    pub(crate) numbered: (Option<i64>, i64),
}

impl Default for Channel {
    fn default() -> Self {
        Self {
            event_us: None,
            moved_us: 0,
            listening_us: i64::MIN,
            held: None,
            open: Default::default(),
            due_us: None,
            spare: Vec::new(),
            pending: None,
            over: None,
            deaf: false,
            flagged: VecDeque::new(),
            numbered: (None, 0),
        }
    }
}

impl Channel {
    /// Makes one that was read from a snapshot whole, with so many symbols' ids.
    ///
    /// # Errors
    /// What about it cannot be.
    pub(crate) fn fit(&mut self, ids: usize, lateness: Lateness) -> Sound {
        let since_us = self.pending.and_then(|(_, since_us)| since_us);
        let over_us = self.over.map(|(stamp_us, _)| stamp_us);
        holds(self.event_us.into_iter().chain(since_us).chain(over_us).all(is_near), "event time")?;
        holds(self.flagged.len() <= MOST_FLAGGED, "flagged minutes")?;
        holds(self.numbered.1 <= FEW, "numbers")?;
        let mut open = self.open.iter().flatten();
        let sound = |each: &OpenMinute| is_near(each.minute_us) && each.symbols.iter().all(|id| id.index() < ids);
        holds(open.all(sound), "open minutes")?;
        self.refresh_due(lateness);
        Ok(())
    }

    /// E, or `None` before the first tick.
    #[must_use]
    pub fn event_us(&self) -> Option<i64> {
        self.event_us
    }

    /// Whether a stamp lies further ahead of E than 60 s and the silence since E moved.
    #[must_use]
    pub fn is_ahead(&self, ts_us: i64, now_us: i64) -> bool {
        self.event_us
            .is_some_and(|event| ts_us > event.saturating_add(AHEAD_US).saturating_add(self.silence_us(now_us)))
    }

    /// Moves E to an accepted stamp; true if it moved. Resolves a pending flag.
    pub fn hear(&mut self, tick: &Tick<'_>, now_us: i64, lateness_us: i64) -> bool {
        let moved = self.event_us.is_none_or(|event| tick.ts_us > event);
        if moved {
            self.event_us = Some(tick.ts_us);
            self.moved_us = now_us;
            if let Some((flag, since)) = self.pending {
                self.stretch(flag, since, tick, now_us, lateness_us);
            }
        }
        moved
    }

    /// Flags the minutes up to that of a tick. The first one may be late itself, and what was missed lie behind it: those that
    /// come within a second of it say more, until one is a lateness ahead of it. In a feed whose ticks lie far apart none is.
    fn stretch(&mut self, flag: u8, since: Option<i64>, tick: &Tick<'_>, now_us: i64, lateness_us: i64) {
        let Tick { kind, ts_us, .. } = *tick;
        let own = minute_of(kind, ts_us, tick.start_us.unwrap_or(-1));
        let to_us = match self.over {
            // Ticks that were missed may belong up to a lateness after the first one heard.
            None => own.max(minute_of(kind, ts_us + lateness_us, -1)),
            Some((stamp_us, until_us)) if now_us > until_us || ts_us >= stamp_us.saturating_add(LATEST_US) => {
                (self.pending, self.over) = (None, None);
                return;
            }
            Some(_) => own.max(minute_of(kind, ts_us, -1)),
        };
        let from_us = since.map_or(own, |us| own.min(minute_of(kind, us, -1)));
        self.flag(Flagged { from_us, to_us, flag });
        match self.over {
            None => {
                self.pending = Some((flag, since.or(Some(ts_us))));
                self.over = Some((ts_us + lateness_us, now_us.saturating_add(SECOND_US)));
            }
            Some((stamp_us, _)) if ts_us >= stamp_us => (self.pending, self.over) = (None, None),
            Some(_) => {}
        }
    }

    /// The flag that waits, while no tick was heard for it.
    fn unheard(&self) -> Option<(u8, Option<i64>)> {
        self.pending.filter(|_| self.over.is_none())
    }

    /// The channel is heard from `now_us` on: silence counts from here, and the next tick ends a flagged stretch.
    pub fn subscribed(&mut self, now_us: i64, flag: u8) {
        self.listening_us = now_us;
        let since = self.unheard().map_or(self.event_us, |(_, since)| since);
        (self.pending, self.over) = (Some((flag, since)), None);
        self.deaf = true;
    }

    /// A tick that could not be read: its number is not known.
    pub fn refused(&mut self) {
        self.numbered.1 += 1;
    }

    /// A tick has this number, of a sender that counts what it sends here. How many are missing before it; the minutes
    /// since E are then flagged like those in which nobody listened.
    ///
    /// A number that was passed by not long ago is a repeat; one further back begins a new count.
    pub fn number(&mut self, seq: i64) -> i64 {
        let (newest, refused) = self.numbered;
        if newest.is_some_and(|newest| seq <= newest && newest - seq < REPEATED) {
            return 0;
        }
        self.numbered = (Some(seq), 0);
        let missing = newest.map_or(0, |newest| seq.saturating_sub(newest).saturating_sub(1).saturating_sub(refused));
        if missing > 0 && self.unheard().is_none() {
            (self.pending, self.over) = (Some((quality::GAP, self.event_us)), None);
        }
        missing.max(0)
    }

    /// The newest stretch that is flagged. One that no tick has ended yet ends when the feed's time, which has gone on with the
    /// caller's, is where listening began again.
    pub(crate) fn newest_missed(&self) -> Option<Flagged> {
        let Some((flag, since_us)) = self.unheard() else { return self.flagged.back().copied() };
        let since_us = since_us?;
        let deaf_us = self.listening_us.saturating_sub(self.moved_us).max(0);
        let until_us = Some(since_us.saturating_add(deaf_us)).filter(|us| is_near(*us)).unwrap_or(since_us);
        let minute_us = |us: i64| minute_of(Kind::A, us, -1);
        Some(Flagged { from_us: minute_us(since_us), to_us: minute_us(until_us), flag })
    }

    /// Flags of a minute, as far as they are known now.
    #[must_use]
    pub fn flags(&self, minute_us: i64) -> u8 {
        let covers = |stretch: &&Flagged| (stretch.from_us..=stretch.to_us).contains(&minute_us);
        self.flagged.iter().filter(covers).fold(0, |flags, stretch| flags | stretch.flag)
    }

    /// Notes a stretch; one that touches the newest makes it longer, so that a flapping link stays one stretch.
    fn flag(&mut self, stretch: Flagged) {
        let touches = |newest: &&mut Flagged| newest.flag == stretch.flag && stretch.from_us <= newest.to_us;
        if let Some(newest) = self.flagged.back_mut().filter(touches) {
            newest.from_us = newest.from_us.min(stretch.from_us);
            newest.to_us = newest.to_us.max(stretch.to_us);
            return;
        }
        if self.flagged.len() == MOST_FLAGGED {
            self.flagged.pop_front();
        }
        self.flagged.push_back(stretch);
    }

    /// A symbol has opened a bar with the message `src`.
    pub fn opened(&mut self, symbol: SymbolId, minute_us: i64, kind: Kind, lateness: Lateness, src: i64) {
        let queue = &mut self.open[slot(kind)];
        let at = queue.iter().rposition(|open| open.minute_us <= minute_us);
        match at {
            Some(at) if queue[at].minute_us == minute_us => queue[at].symbols.push(symbol),
            _ => {
                let mut symbols = self.spare.pop().unwrap_or_default();
                symbols.push(symbol);
                queue.insert(at.map_or(0, |at| at + 1), OpenMinute { minute_us, first_src: src, symbols });
                self.refresh_due(lateness);
            }
        }
    }

    /// The time up to which bars are final, lateness apart: E, or in a silence what the caller's time adds to it.
    #[must_use]
    pub fn reached_us(&self, quiet_at: Option<i64>) -> Option<i64> {
        let event = self.event_us?;
        let heard_out = |now_us: i64| now_us.saturating_sub(self.moved_us.max(self.listening_us)).max(0);
        Some(quiet_at.map_or(event, |now_us| event.saturating_add(heard_out(now_us)) - QUIET_US))
    }

    /// The oldest minute that is final now, with its symbols: by E, or by `quiet_at` in a silence.
    pub fn take_final(&mut self, quiet_at: Option<i64>, lateness: Lateness) -> Option<(i64, Kind, Vec<SymbolId>)> {
        let reached = self.reached_us(quiet_at)?;
        if self.due_us.is_none_or(|due| reached < due) {
            return None;
        }
        let is_due = |kind: &Kind| {
            let head = self.open[slot(*kind)].front();
            head.is_some_and(|open| reached >= open.minute_us + MINUTE_US + lateness.of(*kind))
        };
        let oldest = |kind: &Kind| self.open[slot(*kind)].front().map(|open| open.minute_us);
        let kind = [Kind::A, Kind::T].into_iter().filter(is_due).min_by_key(oldest)?;
        self.take_front(kind, lateness)
    }

    /// The oldest minute with an open bar.
    #[must_use]
    pub fn oldest_open_us(&self) -> Option<i64> {
        self.open.iter().filter_map(|queue| Some(queue.front()?.minute_us)).min()
    }

    /// Whether E has moved in the `idle_us` before `now_us`: a channel that has gone silent holds up nobody.
    #[must_use]
    pub fn is_moving(&self, idle_us: i64, now_us: i64) -> bool {
        self.event_us.is_some() && self.silence_us(now_us) <= idle_us
    }

    /// The number of the first message of any open bar.
    #[must_use]
    pub fn low_src(&self) -> Option<i64> {
        self.open.iter().flatten().map(|open| open.first_src).min()
    }

    /// The symbols with an open bar in the oldest open minute, final or not: at a flush.
    pub fn take_oldest(&mut self, lateness: Lateness) -> Option<(i64, Kind, Vec<SymbolId>)> {
        let oldest_us = self.oldest_open_us()?;
        let holds = |kind: &Kind| self.open[slot(*kind)].front().is_some_and(|open| open.minute_us == oldest_us);
        let kind = [Kind::A, Kind::T].into_iter().find(holds)?;
        self.take_front(kind, lateness)
    }

    /// Takes back a list from [`Channel::take_final`], for use again.
    pub fn recycle(&mut self, mut symbols: Vec<SymbolId>) {
        symbols.clear();
        self.spare.push(symbols);
    }

    fn take_front(&mut self, kind: Kind, lateness: Lateness) -> Option<(i64, Kind, Vec<SymbolId>)> {
        let OpenMinute { minute_us, symbols, .. } = self.open[slot(kind)].pop_front()?;
        self.refresh_due(lateness);
        Some((minute_us, kind, symbols))
    }

    fn refresh_due(&mut self, lateness: Lateness) {
        let due = |kind: Kind| Some(self.open[slot(kind)].front()?.minute_us + MINUTE_US + lateness.of(kind));
        self.due_us = [Kind::A, Kind::T].into_iter().filter_map(due).min();
    }

    fn silence_us(&self, now_us: i64) -> i64 {
        now_us.saturating_sub(self.moved_us).max(0)
    }
}

/// How long after its end a bar waits for late ticks, by kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lateness {
    /// For aggregates, µs.
    pub a_us: i64,
    /// For trades, µs.
    pub t_us: i64,
}

impl Lateness {
    /// The lateness of one kind, µs.
    #[must_use]
    pub fn of(self, kind: Kind) -> i64 {
        if kind == Kind::A { self.a_us } else { self.t_us }
    }
}

fn slot(kind: Kind) -> usize {
    usize::from(kind != Kind::A)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_far_behind_begins_anew_however_large_the_newest_was() {
        let mut channel = Channel::default();
        assert_eq!(channel.number(i64::MAX), 0);
        channel.refused();
        assert_eq!((channel.number(0), channel.number(3)), (0, 2));
    }
}
