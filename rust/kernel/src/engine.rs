//! The live composition: messages in, rows and detections out, every tick accounted for.

use crate::aggregate::{Aggregator, Limits, Settled, TOUCHED};
use crate::bar::{Bar, Fold, quality};
use crate::counters::{Counters, Skew};
use crate::decode::{BATCH, Decoder};
use crate::error::KernelError;
use crate::fate::Sink;
use crate::history::Formed;
use crate::made::Row;
use crate::offset::{Arrival, Span};
use crate::output::{Collector, Output};
use crate::pattern::Direction;
use crate::pattern::days::Day;
use crate::rule::Ruleset;
use crate::settings::Settings;
use crate::snapshot::{self, Digest, Moment, is_near};
use crate::symbol::SymbolId;
use crate::tick::Kind;
use crate::time::MINUTE_US;
use crate::timeframe::Timeframe;
use crate::window::Window;

/// Bars of history for which room is made at once, as for the minute of as many symbols.
const MOST_EXPECTED: usize = 20_000;

/// Ticks to bars to patterns for many symbols and channels. Deterministic: the same calls give the same bits.
#[derive(Debug)]
pub struct Engine {
    decoders: Vec<Decoder>,
    aggregator: Aggregator,
    counters: Counters,
    skew: Skew,
    /// The latest time that a caller has named.
    now_us: i64,
    /// The number of the next message that comes without one.
    next_src: i64,
    /// What a snapshot must have been made under, the price scale apart.
    settings: Digest,
}

impl Engine {
    /// An engine that has heard nothing.
    ///
    /// # Errors
    /// [`KernelError::Setting`] names the first setting out of its range, [`KernelError::UnknownPattern`] an id;
    /// see [`Ruleset::new`] for rules.
    pub fn new(settings: Settings) -> Result<Self, KernelError> {
        settings.check()?;
        let digest = snapshot::digest(&settings);
        let rules = settings.rules()?;
        let limits = Limits {
            lateness: settings.lateness,
            symbols: settings.symbols,
            seq_counts: settings.seq_counts,
            volume_checked: settings.volume_checked,
        };
        Ok(Self {
            decoders: (0..settings.channels).map(|_| Decoder::default()).collect(),
            aggregator: Aggregator::new(settings.channels, limits, rules, settings.calendar),
            counters: Counters::default(),
            skew: Skew::default(),
            now_us: i64::MIN,
            next_src: 0,
            settings: digest,
        })
    }

    /// Takes messages that arrived together at `now_us`, in order, each with the index of its channel; their numbers go on
    /// from the last one's. Bad input is counted, never an error.
    ///
    /// # Errors
    /// [`KernelError::Channel`] if an index is not one of the channels; nothing after it is taken.
    pub fn ingest<'a>(
        &mut self,
        messages: impl IntoIterator<Item = (usize, &'a [u8])>,
        now_us: i64,
    ) -> Result<Output, KernelError> {
        let first = self.next_src;
        let numbered = (first..).zip(messages).map(|(src, (channel, raw))| (channel, Arrival { src, now_us }, raw));
        self.take(numbered, now_us, false)
    }

    /// Takes messages in order, each with its channel, its own number and arrival. What silence has made final before one of
    /// them is closed, so that it does not matter how many come in one call, nor whether [`Engine::advance`] is called
    /// between them with a time before the next one's.
    ///
    /// Numbers and arrivals must not fall. Everything that arrived before a message must stand before it.
    ///
    /// # Errors
    /// [`KernelError::Channel`] if an index is not one of the channels; nothing after it is taken.
    pub fn ingest_stamped<'a>(
        &mut self,
        messages: impl IntoIterator<Item = (usize, Arrival, &'a [u8])>,
    ) -> Result<Output, KernelError> {
        let now_us = self.now_us;
        self.take(messages, now_us, true)
    }

    /// Sets the number of the next message that comes without one.
    pub fn continue_at(&mut self, src: i64) {
        self.next_src = src;
    }

    /// The number of the next message that comes without one.
    #[must_use]
    pub fn next_src(&self) -> i64 {
        self.next_src
    }

    /// What each channel has come to, as JSON; see [`Engine::resume`].
    #[must_use]
    pub fn standing(&self) -> Vec<String> {
        let passed = self.aggregator.passed();
        self.aggregator.channels().iter().map(|channel| crate::standing::write(channel, &passed)).collect()
    }

    /// Gives a channel the standing that [`Engine::standing`] told. Together with the bars that were written, and the
    /// messages that came after it, the engine then becomes what it was.
    ///
    /// # Errors
    /// [`KernelError::Standing`] if it is none.
    pub fn resume(&mut self, channel: usize, standing: &str) -> Result<(), KernelError> {
        let channels = self.decoders.len();
        let known =
            self.aggregator.channels_mut().get_mut(channel).ok_or(KernelError::Channel { channels, channel })?;
        let (standing, passed) = crate::standing::read(standing)?;
        *known = standing;
        self.aggregator.pass(&passed);
        Ok(())
    }

    /// Has ticks passed over that a replay need not look at.
    pub fn settle(&mut self, settled: Settled) {
        self.aggregator.settle(settled);
    }

    /// The number of the first message of any open bar; with none open, that of the next message. What came before is
    /// in bars that have closed, or in none.
    #[must_use]
    pub fn low_src(&self) -> i64 {
        self.aggregator.channels().iter().filter_map(crate::channel::Channel::low_src).min().unwrap_or(self.next_src)
    }

    /// From which minute on bars may still be revised, µs, and the number of the first message that went into one of those
    /// minutes or decided about it (the next message's, if there is none).
    pub fn revisable(&mut self) -> (i64, i64) {
        let (minute_us, src) = self.aggregator.revisable(self.now_us);
        (minute_us.unwrap_or(i64::MIN), src.unwrap_or(self.next_src))
    }

    /// All state, for [`Engine::restore`]. What comes of the same messages afterwards is the same to the bit.
    ///
    /// With windows of 200 bars some 28 KB a symbol where minutes alone are looked at, 94 KB with five timeframes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let Self { aggregator, counters, skew, now_us, next_src, .. } = self;
        let now = Moment { counters, skew, now_us: *now_us, next_src: *next_src };
        snapshot::write(&self.settings, aggregator, now)
    }

    /// Becomes what an engine of the same settings was when it made the snapshot.
    ///
    /// # Errors
    /// [`KernelError::Snapshot`] if the bytes are not whole, or of another version or other settings; the engine is then
    /// as it was.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), KernelError> {
        let now = snapshot::read(bytes, &self.settings, &mut self.aggregator)?;
        let Moment { counters, skew, now_us, next_src } = now;
        (self.counters, self.skew, self.now_us, self.next_src) = (counters, skew, now_us, next_src);
        Ok(())
    }

    fn take<'a>(
        &mut self,
        messages: impl IntoIterator<Item = (usize, Arrival, &'a [u8])>,
        now_us: i64,
        stamped: bool,
    ) -> Result<Output, KernelError> {
        self.now_us = self.now_us.max(now_us);
        self.skew.begin(now_us);
        let mut output = Output::default();
        let (aggregator, counters, skew) = (&mut self.aggregator, &mut self.counters, &mut self.skew);
        let mut sink = Collector { output: &mut output, counters, skew, now_us, expected: 0 };
        let channels = self.decoders.len();
        let mut messages = messages.into_iter().peekable();
        while let Some((channel, arrival, first)) = messages.next() {
            let decoder = self.decoders.get_mut(channel).ok_or(KernelError::Channel { channels, channel })?;
            let mut batch = [first; BATCH];
            let mut arrivals = [arrival; BATCH];
            let mut count = 1;
            while let Some(payload) = batch.get_mut(count) {
                let Some((_, arrival, next)) = messages.next_if(|(other, ..)| *other == channel) else { break };
                (*payload, arrivals[count]) = (next, arrival);
                count += 1;
            }
            sink.counters.messages += count as u64;
            let mut begun = None;
            decoder.decode(&batch[..count], |lane, tick, raw| {
                let arrival = arrivals[lane];
                if stamped && begun != Some(lane) {
                    begun = Some(lane);
                    sink.now_us = arrival.now_us;
                    sink.skew.begin(arrival.now_us);
                    // What arrived before it has been taken; of its own moment there may be more.
                    aggregator.advance(arrival.now_us - 1, &mut sink);
                }
                sink.counters.ticks += 1;
                sink.output.ticks += 1;
                match tick {
                    Ok(tick) => aggregator.take(channel as u16, &tick, raw, arrival, &mut sink),
                    Err(reason) => {
                        aggregator.refused(channel as u16);
                        sink.counters.refuse(reason);
                        sink.sample(reason.name(), channel as u16, raw);
                    }
                }
            });
            let last = arrivals[count - 1];
            self.next_src = self.next_src.max(last.src + 1);
            self.now_us = self.now_us.max(last.now_us);
        }
        self.aggregator.end_call();
        output.reached_us = self.aggregator.reached_us(self.now_us);
        Ok(output)
    }

    /// Closes what silence has made final; see [`Aggregator::advance`].
    pub fn advance(&mut self, now_us: i64) -> Output {
        self.collect(now_us, |aggregator, sink| aggregator.advance(now_us, sink))
    }

    /// Accepts what is held back and closes every open bar.
    pub fn flush(&mut self) -> Output {
        let now_us = self.now_us;
        self.collect(now_us, |aggregator, sink| aggregator.flush(now_us, sink))
    }

    /// The open bars as they stand, flagged [`quality::PROVISIONAL`]. They stay open.
    #[must_use]
    pub fn provisional(&self) -> Output {
        let scale = self.aggregator.rules().price_scale;
        let row = |fold: &Fold| {
            let bar = fold.bar(scale)?;
            let quality = bar.quality | self.aggregator.flags(fold) | quality::PROVISIONAL;
            Some(Row { bar: Bar { quality, ..bar }, revision: 0, span: fold.span() })
        };
        let bars = self.aggregator.open_bars().filter_map(|(id, fold)| Some((id, row(fold)?))).collect();
        Output { bars, ..Output::default() }
    }

    /// Listening begins (again): see [`Aggregator::subscribed`].
    pub fn subscribed(&mut self, now_us: i64, first: bool) {
        self.aggregator.subscribed(now_us, first);
    }

    /// Feeds one bar of history silently; false if it was not taken (not newer than the last, past the cap, or with a
    /// price that is none: with such a bar the window would not be what the bars that may be revised say).
    ///
    /// `span`: which messages of this source are in it already, and are passed over when they come again.
    pub fn warm(&mut self, ticker: &[u8], bar: &Bar, revision: u32, span: Span) -> bool {
        if !bar.is_priced() {
            return false;
        }
        let provisional = bar.quality & quality::PROVISIONAL != 0;
        let fold = Fold::from_bar(bar, span, Fold::NO_CHANNEL, Kind::T);
        self.aggregator.warm(ticker, fold, revision, provisional)
    }

    /// Minutes that are fed, and start before `us`, are in longer bars that are fed whole; see [`Engine::warm_longer`].
    pub fn longer_from(&mut self, us: i64) {
        self.aggregator.longer_from(us);
    }

    /// Tells that ticks may have been missed from `from_us` to `to_us`, before all bars: longer bars that hold such a time are
    /// flagged [`quality::GAP`], whoever traded in it. Nothing, if the times are none that bars can have.
    pub fn missed(&mut self, from_us: i64, to_us: i64) {
        if is_near(from_us) && is_near(to_us) && from_us < to_us {
            self.aggregator.missed(from_us, to_us);
        }
    }

    /// Feeds a bar of a longer timeframe silently, which ends where [`Engine::longer_from`] said or before: one that was
    /// rolled up from minutes that are not fed. Oldest first. A day of a week that goes on with the minutes also begins that
    /// week's bar.
    ///
    /// False if it was not taken: it is of no timeframe that is on, does not start where one of that does, is not newer than
    /// the last, past the cap, or with a price that is none.
    pub fn warm_longer(&mut self, ticker: &[u8], timeframe: Timeframe, bar: &Bar) -> bool {
        bar.is_priced() && self.aggregator.warm_longer(ticker, timeframe, bar)
    }

    /// Tells of a session that has finished before all bars, by its open: what breakouts from the last day and week are measured
    /// from. Flagged [`quality::PROVISIONAL`], it broke off, and nothing is measured from it; other flags are said of what is.
    /// False if it was not taken: bars of the symbol were, it is past the cap, or a price is none.
    pub fn know(&mut self, ticker: &[u8], session: &Bar) -> bool {
        let Bar { ts_us, open, high, low, close, quality, .. } = *session;
        let quality = quality & (quality::PARTIAL | quality::PROVISIONAL);
        session.is_priced() && self.aggregator.know(ticker, Day { open_us: ts_us, open, high, low, close, quality })
    }

    /// Whether a pattern that is on reads what the minutes of other sessions traded: [`Engine::know_volume`] tells it.
    #[must_use]
    pub fn needs_volumes(&self) -> bool {
        self.aggregator.rules().has_volumes()
    }

    /// The open of the first session that [`Engine::know`] told of whose minutes count: those before it are of before a
    /// split. `None` if none counts, or [`Engine::needs_volumes`] is false.
    #[must_use]
    pub fn volumes_since_us(&self, ticker: &[u8]) -> Option<i64> {
        self.aggregator.volumes_since_us(ticker)
    }

    /// Tells the largest volume of a minute of the session, from 0, over those sessions of a week, named by the open of any of
    /// them, that [`Engine::know`] told of and [`Engine::volumes_since_us`] lets count; and the flags of those bars.
    ///
    /// False if it was not taken: bars of the symbol were, no pattern asks, the week is none of the last four that were
    /// told of, or no minute of 26 hours.
    pub fn know_volume(&mut self, ticker: &[u8], open_us: i64, minute: i64, volume: i64, flags: u8) -> bool {
        self.aggregator.know_volume(ticker, open_us, minute, volume, flags)
    }

    /// Closes bars of history, in the order given, as if they had been live; what that makes, and how many were taken.
    ///
    /// One is taken if its prices are finite and positive, and it is newer than its symbol's last. The benchmark's should
    /// come before the others of its minute. `last`: none come after them, so that longer bars that are over by the newest
    /// of them close, whoever traded last.
    pub fn replay<'a>(&mut self, bars: impl IntoIterator<Item = (&'a [u8], Bar)>, last: bool) -> (Output, usize) {
        let mut taken = 0;
        let output = self.collect(self.now_us, |aggregator, sink| {
            let mut bars = bars.into_iter();
            sink.expect(bars.size_hint().0.min(MOST_EXPECTED));
            let mut some = Vec::with_capacity(TOUCHED);
            loop {
                some.extend(bars.by_ref().take(TOUCHED));
                if some.is_empty() {
                    break;
                }
                aggregator.touch(&some);
                for (ticker, bar) in some.drain(..) {
                    let fold = Fold::from_bar(&bar, Span::NONE, Fold::NO_CHANNEL, Kind::T);
                    taken += usize::from(bar.is_priced() && aggregator.replay(ticker, fold, sink));
                }
            }
            if last {
                aggregator.end_longer(sink);
            }
        });
        (output, taken)
    }

    /// Tells of a bar of history at which evaluation an event was made of it: the event's id follows from it, so that no
    /// later one may use it again, and the withdrawal of `event`, a pattern's id and direction, has to name it. `None`
    /// for one that was withdrawn. Whether there is such a pattern and it holds.
    pub fn recall(
        &mut self,
        ticker: &[u8],
        timeframe: Timeframe,
        ts_us: i64,
        event: Option<(&str, Direction)>,
        evaluation: u32,
    ) -> bool {
        let event = event.and_then(|(pattern, direction)| Some((self.rules().place_of(pattern)?, direction)));
        self.aggregator.recall(ticker, timeframe, ts_us, event, evaluation)
    }

    /// Sets the decimals of the price column.
    ///
    /// # Errors
    /// [`KernelError::Setting`] if there are more than 12.
    pub fn set_price_scale(&mut self, scale: Option<u32>) -> Result<(), KernelError> {
        if let Some(scale) = scale.filter(|&scale| scale > 12) {
            return Err(KernelError::Setting { name: "price_scale", rule: "0 to 12", value: f64::from(scale) });
        }
        let rules = self.aggregator.rules_mut();
        let longer = rules.longer.iter_mut().flat_map(|longer| &mut longer.each);
        longer.for_each(|rules| rules.price_scale = scale);
        rules.price_scale = scale;
        Ok(())
    }

    /// Every counter by name.
    #[must_use]
    pub fn counters(&self) -> Vec<(String, u64)> {
        let held = self.aggregator.channels().iter().filter(|channel| channel.held.is_some()).count();
        let mut all = self.counters.by_name();
        all.push(("held".into(), held as u64));
        all.push(("symbols".into(), self.aggregator.symbols().len() as u64));
        all.push(("open_bars".into(), self.aggregator.open_bars().count() as u64));
        all
    }

    /// Each channel's event time, µs.
    #[must_use]
    pub fn event_time_us(&self) -> Vec<Option<i64>> {
        self.aggregator.channels().iter().map(crate::channel::Channel::event_us).collect()
    }

    /// How far ahead the stamps were, if over half of the last whole second's ticks were refused as future.
    #[must_use]
    pub fn clock_skew_us(&self) -> Option<i64> {
        self.skew.shown_us
    }

    /// The rules that are made of patterns: they know the ids of both.
    #[must_use]
    pub fn rules(&self) -> &Ruleset {
        &self.aggregator.rules().combined
    }

    /// The name of a symbol that stands in an output.
    #[must_use]
    pub fn symbol_name(&self, id: SymbolId) -> &str {
        self.aggregator.symbols().name(id)
    }

    /// See [`crate::symbol::Symbols::renamed`].
    #[must_use]
    pub fn symbols_renamed(&self) -> u64 {
        self.aggregator.symbols().renamed()
    }

    /// The names of all known symbols.
    pub fn symbol_names(&self) -> impl Iterator<Item = &str> {
        self.aggregator.symbols().ids().map(|id| self.aggregator.symbols().name(id))
    }

    /// The window of a symbol's bars of a timeframe, if both are known.
    #[must_use]
    pub fn window(&self, ticker: &[u8], timeframe: Timeframe) -> Option<&Window> {
        let id = self.aggregator.symbols().find(ticker)?;
        Some(self.aggregator.history(id).of(timeframe, self.aggregator.rules())?.window())
    }

    /// The figures that have formed and wait for a close that confirms them, of one symbol or of all. They are no events: the
    /// next bar may end one, and a late tick may take it back. O(symbols).
    #[must_use]
    pub fn forming(&self, ticker: Option<&[u8]>) -> Vec<(SymbolId, Formed)> {
        let (symbols, rules) = (self.aggregator.symbols(), self.aggregator.rules());
        let history = |id| self.aggregator.history(id);
        let heard_us = self.event_time_us().into_iter().flatten().max();
        let closed_us = symbols.ids().map(|id| history(id).newest_us().saturating_add(MINUTE_US)).max();
        let now_us = heard_us.max(closed_us).unwrap_or(i64::MIN);
        let of = |id| history(id).forming(rules, now_us).map(move |formed| (id, formed));
        match ticker {
            Some(ticker) => symbols.find(ticker).into_iter().flat_map(of).collect(),
            None => symbols.ids().flat_map(of).collect(),
        }
    }

    fn collect(&mut self, now_us: i64, call: impl FnOnce(&mut Aggregator, &mut Collector<'_>)) -> Output {
        self.now_us = self.now_us.max(now_us);
        self.skew.begin(now_us);
        let mut output = Output::default();
        let (counters, skew) = (&mut self.counters, &mut self.skew);
        let mut sink = Collector { output: &mut output, counters, skew, now_us, expected: 0 };
        call(&mut self.aggregator, &mut sink);
        self.aggregator.end_call();
        output.reached_us = self.aggregator.reached_us(self.now_us);
        output
    }
}
