//! An engine that is made again from rows, a standing and the messages since goes on as if it had never ended.

mod walk;

use std::collections::BTreeMap;

use proptest::prelude::*;
use tickstockpl_kernel::accumulated::Short;
use tickstockpl_kernel::aggregate::Settled;
use tickstockpl_kernel::bar::quality;
use tickstockpl_kernel::calendar::Calendar;
use tickstockpl_kernel::channel::Lateness;
use tickstockpl_kernel::engine::Engine;
use tickstockpl_kernel::made::Row;
use tickstockpl_kernel::offset::Arrival;
use tickstockpl_kernel::output::Output;
use tickstockpl_kernel::pattern::{Direction, PATTERNS};
use tickstockpl_kernel::session::Sessions;
use tickstockpl_kernel::settings::Settings;
use tickstockpl_kernel::time::MINUTE_US;
use tickstockpl_kernel::timeframe::{Align, Timeframe};

const T0_US: i64 = 1_757_599_200_000_000;
const SECOND_US: i64 = 1_000_000;
const REVISE_US: i64 = 120 * SECOND_US;

fn engine() -> Engine {
    let days = Sessions::new(&[(T0_US - 3_600 * SECOND_US, T0_US + 36_000 * SECOND_US)]).expect("one session");
    let settings = Settings {
        channels: 2,
        lateness: Lateness { a_us: 2 * SECOND_US, t_us: 5 * SECOND_US },
        revise_us: REVISE_US,
        window_bars: 40,
        symbols: 20,
        price_scale: Some(2),
        patterns: None,
        rules: Vec::new(),
        seq_counts: true,
        volume_checked: true,
        calendar: Calendar { window: days.clone(), simulated: days, regular: None },
        timeframes: vec![Timeframe::Min1, Timeframe::Min5, Timeframe::Min15],
        align: Align::Session,
        watch: None,
        rsi_bounds: (30.0, 70.0),
        benchmark: Some("S0".to_owned()),
    };
    Engine::new(settings).expect("these settings are in range")
}

/// A message of a feed that runs on: its channel, how much time passes before it, how far off its stamp is, how many others
/// like it were lost on the way, how long its window was if it says so, and whether it says the day's volume.
#[derive(Clone, Debug)]
struct Message {
    channel: usize,
    pace_us: i64,
    off_us: i64,
    symbol: u8,
    kind: char,
    cents: i64,
    lost: i64,
    window_s: Option<i64>,
    says_volume: bool,
}

fn message() -> impl Strategy<Value = Message> {
    let pace = prop_oneof![6 => 0i64..4, 2 => 0i64..20, 1 => 30i64..90];
    let off = prop_oneof![8 => Just(0i64), 3 => -8i64..0, 2 => -150i64..0, 1 => -900i64..0, 1 => 0i64..100];
    let kind = prop_oneof![6 => Just('A'), 1 => Just('T')];
    let channel = prop_oneof![6 => Just(0usize), 1 => Just(1usize)];
    let lost = prop_oneof![12 => Just(0i64), 1 => 1i64..4];
    let window = prop_oneof![8 => Just(None), 1 => (1i64..=60).prop_map(Some)];
    let says_volume = prop_oneof![12 => Just(true), 1 => Just(false)];
    (channel, pace, off, 0u8..4, kind, 9_900i64..10_100, lost, window, says_volume).prop_map(
        |(channel, pace, off, symbol, kind, cents, lost, window_s, says_volume)| Message {
            channel,
            pace_us: pace * SECOND_US,
            off_us: off * SECOND_US,
            symbol,
            kind,
            cents,
            lost,
            window_s,
            says_volume,
        },
    )
}

struct Numbered {
    channel: usize,
    arrival: Arrival,
    payload: Vec<u8>,
}

fn numbered(messages: &[Message]) -> Vec<Numbered> {
    let mut now_us = T0_US;
    let (mut sent, mut traded) = ([0; 2], [0; 4]);
    (0i64..)
        .zip(messages)
        .map(|(src, message)| {
            let seq = &mut sent[message.channel];
            let day = &mut traded[usize::from(message.symbol)];
            *seq += 1 + message.lost;
            *day += 7 * (1 + message.lost);
            now_us += message.pace_us;
            let stamp_us = now_us - SECOND_US + message.off_us;
            let [seconds, start] =
                [stamp_us, stamp_us - message.window_s.unwrap_or(0) * SECOND_US].map(|us| us as f64 / 1e6);
            let price = message.cents as f64 / 100.0;
            let Message { symbol, kind, .. } = message;
            let start = message.window_s.map_or(String::new(), |_| format!(r#", "tick_start_timestamp": {start}"#));
            let volume = if message.says_volume { format!(r#", "accumulated_volume": {day}"#) } else { String::new() };
            let payload = format!(
                r#"{{"ticker": "S{symbol}", "price": {price}, "volume": 7, "timestamp": {seconds}, "event_type": "{kind}", "seq": {seq}{start}{volume}}}"#
            );
            Numbered { channel: message.channel, arrival: Arrival { src, now_us }, payload: payload.into_bytes() }
        })
        .collect()
}

fn take(engine: &mut Engine, messages: &[Numbered]) -> Output {
    let given = messages.iter().map(|each| (each.channel, each.arrival, each.payload.as_slice()));
    engine.ingest_stamped(given).expect("the channels exist")
}

/// What an output says, with symbols by name: ids are given in the order in which an engine meets them.
fn said(engine: &Engine, output: &Output) -> Vec<String> {
    let named = |id| engine.symbol_name(id).to_owned();
    let mut lines: Vec<String> = output.bars.iter().map(|(id, row)| format!("{} {row:?}", named(*id))).collect();
    lines.extend(output.longer.iter().map(|(id, longer)| format!("{} {longer:?}", named(*id))));
    lines.extend(output.detections.rows().map(|(id, found)| format!("{} {found:?}", named(id))));
    lines.extend(output.short.iter().map(|(id, short)| format!("{} {short:?}", named(*id))));
    lines.sort_unstable();
    lines
}

/// The output without what is missing since before `known_us` and up to another minute than the next: an engine that began
/// anew does not know how much there was before.
fn since(known_us: i64, mut output: Output) -> Output {
    let near = |short: &Short| short.to_us - short.from_us <= 2 * MINUTE_US;
    output.short.retain(|(_, short)| short.from_us >= known_us || near(short));
    output
}

/// Events by symbol, timeframe, start of the bar, pattern and direction: those that stand with the evaluation at which they
/// were made, and those that were withdrawn with the last such.
#[derive(Default)]
struct Told {
    held: BTreeMap<(String, u8, i64, i32, i32), i32>,
    gone: BTreeMap<(String, u8, i64, i32, i32), i32>,
}

impl Told {
    fn take(&mut self, engine: &Engine, output: &Output) {
        for (id, found) in output.detections.rows() {
            let key = engine.symbol_name(id).to_owned();
            let key = (key, found.timeframe, found.ts_us, found.pattern, found.direction);
            if found.held {
                self.held.insert(key, found.revision);
            } else {
                self.held.remove(&key);
                self.gone.insert(key, found.revision);
            }
        }
    }

    /// Tells an engine of those that it could not know by the bars alone.
    fn recall(&self, engine: &mut Engine) {
        let timeframe_of = |place: &u8| Timeframe::ALL[usize::from(*place)];
        for ((symbol, timeframe, ts_us, _, _), &evaluation) in &self.gone {
            engine.recall(symbol.as_bytes(), timeframe_of(timeframe), *ts_us, None, evaluation as u32);
        }
        for ((symbol, timeframe, ts_us, pattern, direction), &evaluation) in &self.held {
            let all = [Direction::Bearish, Direction::Neutral, Direction::Bullish];
            let event = (PATTERNS[*pattern as usize].id(), all[(*direction + 1) as usize]);
            engine.recall(symbol.as_bytes(), timeframe_of(timeframe), *ts_us, Some(event), evaluation as u32);
        }
    }
}

/// An engine that was made again from what another had left that has taken the feed up to `end`, the other, and the first
/// minute that was made anew.
fn recovered(feed: &[Numbered], end: usize) -> (Engine, Engine, i64) {
    let mut whole = engine();
    let mut rows: BTreeMap<(String, i64), Row> = BTreeMap::new();
    let mut marks = vec![(i64::MIN, 0, whole.standing())];
    let mut told = Told::default();
    for message in &feed[..end] {
        let output = take(&mut whole, std::slice::from_ref(message));
        told.take(&whole, &output);
        for (id, row) in output.bars {
            rows.insert((whole.symbol_name(id).to_owned(), row.bar.ts_us), row);
        }
        let (minute_us, src) = whole.revisable();
        marks.push((minute_us, src as usize, whole.standing()));
    }
    let low = whole.low_src() as usize;
    // Minutes that could be revised when the oldest began that can be now are made anew, the others are read back.
    let oldest = marks[low].1;
    let anew_us = marks[oldest].0;
    let start = marks[oldest..=low].iter().map(|(_, src, _)| *src).min().unwrap_or_default();
    let standing = &marks[start].2;

    let mut again = engine();
    again.settle(Settled { minute_us: anew_us, src: oldest as i64 });
    for (channel, text) in standing.iter().enumerate() {
        again.resume(channel, text).expect("it was written by an engine");
    }
    for ((symbol, minute_us), row) in &rows {
        if *minute_us < anew_us {
            again.warm(symbol.as_bytes(), &row.bar, row.revision, row.span);
        }
    }
    told.recall(&mut again);
    take(&mut again, &feed[start..end]);
    (again, whole, anew_us)
}

/// The bars of a symbol's windows, by start.
fn windows(engine: &Engine, symbol: &str) -> [Option<Vec<String>>; 3] {
    [Timeframe::Min1, Timeframe::Min5, Timeframe::Min15].map(|timeframe| {
        let window = engine.window(symbol.as_bytes(), timeframe);
        window.map(|window| window.iter().map(|bar| format!("{bar:?}")).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn recovered_from_rows_a_standing_and_a_replay_it_says_what_it_would_have_said(
        messages in proptest::collection::vec(message(), 150..500),
        ended in 0.5f64..1.0,
    ) {
        let feed = numbered(&messages);
        let end = (feed.len() as f64 * ended) as usize;
        let (mut again, mut whole, anew_us) = recovered(&feed, end);
        let known_us = anew_us.saturating_sub(MINUTE_US);
        prop_assert_eq!(again.low_src(), whole.low_src());
        prop_assert_eq!(again.event_time_us(), whole.event_time_us());
        for name in ["S0", "S1", "S2", "S3"] {
            prop_assert_eq!(windows(&again, name), windows(&whole, name));
        }
        prop_assert_eq!(said(&again, &again.provisional()), said(&whole, &whole.provisional()));
        for message in &feed[end..] {
            let message = std::slice::from_ref(message);
            let (one, other) = (take(&mut again, message), since(known_us, take(&mut whole, message)));
            prop_assert_eq!(said(&again, &one), said(&whole, &other));
            prop_assert_eq!(one.jumps, other.jumps);
        }
        let (one, other) = (again.flush(), since(known_us, whole.flush()));
        prop_assert_eq!(said(&again, &one), said(&whole, &other));
        prop_assert_eq!(again.standing(), whole.standing());
    }

    #[test]
    fn a_standing_that_is_any_text_is_refused_or_gone_on_with(
        messages in proptest::collection::vec(message(), 1..40),
        at in 0usize..400,
        other in "[0-9eE.,:\\[\\]{}a-z_\"-]{0,12}",
    ) {
        let mut told = engine();
        take(&mut told, &numbered(&messages));
        let mut text = told.standing()[0].clone();
        let at = at.min(text.len());
        let end = (at + other.len() / 2).min(text.len());
        text.replace_range(at..end, &other);
        let mut changed = engine();
        if changed.resume(0, &text).is_ok() {
            let standing = changed.standing();
            changed.resume(0, &standing[0]).expect("what was told is read");
            prop_assert_eq!(changed.standing(), standing);
            take(&mut changed, &numbered(&messages));
            changed.subscribed(T0_US, false);
            changed.advance(T0_US + 3_600 * SECOND_US);
            changed.flush();
        }
    }

    #[test]
    fn messages_of_a_stream_may_come_in_calls_of_any_size(
        messages in proptest::collection::vec(message(), 0..200),
        size in 1usize..50,
    ) {
        let feed = numbered(&messages);
        let (mut single, mut several) = (engine(), engine());
        let mut lines = [Vec::new(), Vec::new()];
        let mut missing = [0, 0];
        let ticks = |output: &Output| output.jumps.iter().map(|jump| jump.ticks).sum::<i64>();
        for message in &feed {
            let output = take(&mut single, std::slice::from_ref(message));
            lines[0].extend(said(&single, &output));
            missing[0] += ticks(&output);
            // What a reader may do that finds nothing more.
            let output = single.advance(message.arrival.now_us - 1);
            lines[0].extend(said(&single, &output));
        }
        for part in feed.chunks(size) {
            let output = take(&mut several, part);
            lines[1].extend(said(&several, &output));
            missing[1] += ticks(&output);
        }
        let now_us = feed.last().map_or(T0_US, |last| last.arrival.now_us);
        let output = several.advance(now_us - 1);
        lines[1].extend(said(&several, &output));
        for each in &mut lines {
            each.sort_unstable();
        }
        let [one, other] = lines;
        prop_assert_eq!(one, other);
        prop_assert_eq!(missing[0], missing[1]);
    }
}

#[test]
fn a_message_that_is_in_a_bar_already_is_passed_over_and_a_later_one_revises_it() {
    let tick = |second: i64, price: f64| {
        let seconds = T0_US as f64 / 1e6 + second as f64;
        format!(r#"{{"ticker": "S1", "price": {price}, "volume": 7, "timestamp": {seconds}, "event_type": "A"}}"#)
    };
    let (early, late) = (tick(10, 100.0), tick(30, 101.0));
    let mut first = engine();
    first.ingest([(0, early.as_bytes())], T0_US + 60 * SECOND_US).expect("channel 0");
    let written = first.flush().bars;
    let mut again = engine();
    let row = written[0].1;
    assert!(again.warm(b"S1", &row.bar, row.revision, row.span));
    let arrivals = [(0, early.as_bytes()), (1, late.as_bytes())];
    let given = arrivals.map(|(src, raw)| (0, Arrival { src, now_us: T0_US + 61 * SECOND_US }, raw));
    let revised = again.ingest_stamped(given).expect("channel 0").bars;
    assert_eq!(revised.len(), 1);
    let row = revised[0].1;
    assert_eq!((row.bar.trades, row.bar.close, row.revision, row.span.first, row.span.last), (2, 101.0, 1, 0, 1));
    assert_eq!(row.bar.quality, quality::LATE_REVISED, "both ticks are of one source");
}

/// A tick of kind A, by the seconds at which it comes and with which it is stamped.
fn message_at(channel: usize, second: i64, stamp: i64, symbol: u8) -> Numbered {
    message_with(channel, second, stamp, symbol, "")
}

/// The same that says the day's volume.
fn volume_at(channel: usize, second: i64, stamp: i64, symbol: u8, day: i64) -> Numbered {
    message_with(channel, second, stamp, symbol, &format!(r#", "accumulated_volume": {day}"#))
}

fn message_with(channel: usize, second: i64, stamp: i64, symbol: u8, more: &str) -> Numbered {
    let seconds = T0_US as f64 / 1e6 + stamp as f64;
    let payload = format!(
        r#"{{"ticker": "S{symbol}", "price": 100, "volume": 7, "timestamp": {seconds}, "event_type": "A"{more}}}"#
    );
    let arrival = Arrival { src: 0, now_us: T0_US + second * SECOND_US };
    Numbered { channel, arrival, payload: payload.into_bytes() }
}

/// These messages among those of two symbols that keep both channels going for twenty minutes, each with its number.
fn amid_others(messages: impl IntoIterator<Item = Numbered>) -> Vec<Numbered> {
    let others = (0..60).flat_map(|at| [(0, 0), (1, 2)].map(|(channel, symbol)| (channel, at * 20, symbol)));
    let mut feed: Vec<Numbered> =
        others.map(|(channel, second, symbol)| message_at(channel, second + 1, second, symbol)).collect();
    feed.extend(messages);
    feed.sort_by_key(|message| message.arrival.now_us);
    for (src, message) in (0i64..).zip(&mut feed) {
        message.arrival.src = src;
    }
    feed
}

#[test]
fn a_channel_that_is_heard_again_after_a_long_silence_costs_no_bar_of_another() {
    let mut feed = vec![message_at(1, 11, 10, 1)];
    feed.extend((1..40).map(|at| message_at(0, at * 30 + 1, at * 30, 0)));
    feed.push(message_at(1, 1_180, 700, 1)); // event time falls back behind what had been forgotten
    feed.extend((40..70).map(|at| message_at(0, at * 30 + 1, at * 30, 0)));
    for (src, message) in (0i64..).zip(&mut feed) {
        message.arrival.src = src;
    }
    for end in 40..feed.len() {
        let (again, whole, _) = recovered(&feed, end);
        assert_eq!(windows(&again, "S0"), windows(&whole, "S0"), "ended after {end} messages");
    }
}

#[test]
fn whose_volume_counts_before_the_first_minute_made_anew_is_what_it_was() {
    let feed = amid_others([
        // Heard a minute before 540 s, at the last moment: from there to 600 s nothing counts but this channel.
        volume_at(0, 481, 480, 1, 7),
        volume_at(1, 571, 570, 1, 14),
        volume_at(0, 621, 620, 1, 28),
    ]);
    for end in 1..feed.len() {
        let (again, whole, _) = recovered(&feed, end);
        assert_eq!(windows(&again, "S1"), windows(&whole, "S1"), "ended after {end} messages");
    }
}

#[test]
fn a_tick_without_the_days_volume_hides_its_minute_though_none_made_anew_has_said_it_before() {
    let feed = amid_others([
        volume_at(0, 71, 70, 1, 7),
        message_at(0, 551, 550, 1),
        volume_at(0, 561, 560, 1, 21),
        volume_at(0, 621, 620, 1, 35),
    ]);
    for end in 1..feed.len() {
        let (again, whole, _) = recovered(&feed, end);
        assert_eq!(windows(&again, "S1"), windows(&whole, "S1"), "ended after {end} messages");
    }
}

#[test]
fn a_late_tick_of_a_minute_that_is_not_made_anew_makes_no_gap() {
    let feed = amid_others([
        volume_at(0, 71, 70, 1, 14),
        volume_at(0, 81, 80, 1, 21),
        // Behind the revise window. It alone would say that 14 shares are missing before the next one.
        volume_at(0, 901, 65, 1, 7),
        volume_at(0, 971, 970, 1, 28),
    ]);
    for end in 1..feed.len() {
        let (mut again, ..) = recovered(&feed, end);
        let mut short = take(&mut again, &feed[end..]).short;
        short.extend(again.flush().short);
        assert_eq!(short, [], "ended after {end} messages");
    }
}

#[test]
fn a_bar_that_closes_after_newer_ones_of_a_faster_channel_has_its_place_before_them() {
    let mut engine = engine();
    let mut take = |channel, second, symbol| {
        let message = message_at(channel, second + 1, second, symbol);
        engine.ingest([(channel, message.payload.as_slice())], message.arrival.now_us).expect("the channels exist");
    };
    take(1, 10, 1);
    take(0, 70, 0);
    take(0, 80, 1);
    take(0, 130, 0); // closes the second minute
    take(0, 250, 0); // after which it cannot be revised any more
    take(1, 71, 1); // closes the first
    let starts: Vec<i64> =
        engine.window(b"S1", Timeframe::Min1).expect("it was heard").iter().map(|bar| bar.ts_us - T0_US).collect();
    assert_eq!(starts, [0, 60 * SECOND_US]);
}

#[test]
fn timeframes_agree_after_a_recovery_as_they_would_have_and_name_the_same_events() {
    let agreement = PATTERNS.iter().position(|pattern| pattern.id() == "agreement").expect("there is one") as i32;
    let (mut agreed, mut revised) = (0, 0);
    for seed in 0..10 {
        let trade = |(src, trade): (i64, walk::Trade)| {
            let (seconds, price) = ((T0_US + trade.at_us) as f64 / 1e6, trade.cents as f64 / 100.0);
            let payload = format!(
                r#"{{"ticker": "S1", "price": {price}, "volume": 7, "timestamp": {seconds}, "event_type": "T", "seq": {src}}}"#
            );
            let arrival = Arrival { src, now_us: T0_US + trade.now_us + SECOND_US };
            Numbered { channel: 0, arrival, payload: payload.into_bytes() }
        };
        let feed: Vec<Numbered> = (0i64..).zip(walk::trades(seed, 1_700, 110)).map(trade).collect();
        for end in [600, 900, 1_207, 1_500] {
            let (mut again, mut whole, _) = recovered(&feed, end);
            for message in &feed[end..feed.len().min(end + 300)] {
                let message = std::slice::from_ref(message);
                let (one, other) = (take(&mut again, message), take(&mut whole, message));
                assert_eq!(said(&again, &one), said(&whole, &other), "seed {seed}, ended after {end} messages");
                let found = other.detections.rows().filter(|(_, found)| found.pattern == agreement);
                let found: Vec<_> = found.collect();
                agreed += found.len();
                let members = found.iter().flat_map(|(_, found)| found.member);
                revised += members.filter(|member| member.evaluation > Some(0)).count();
            }
        }
    }
    assert!(agreed > 10 && revised > 0, "{agreed} agreements, with {revised} members that late ticks have brought");
}

#[test]
fn a_standing_of_an_older_version_is_gone_on_with() {
    // As the first version wrote it, waiting for the first tick after a gap; later ones added what follows.
    let first = format!(
        r#"{{"event_us":{T0_US},"moved_us":{0},"listening_us":{0},"held":null,"pending":[2,{T0_US}],"flagged":[[{0},{T0_US},2]]}}"#,
        T0_US - SECOND_US
    );
    let later = [r#""numbered":[null,0]"#, r#""passed_us":null,"missed":[]"#, r#""over":null,"deaf":true"#];
    let newest = format!("{},{}}}", first.trim_end_matches('}'), later.join(","));
    let resumed = |text: &str| {
        let mut engine = engine();
        engine.resume(0, text).expect("an older version's");
        engine.standing()[0].clone()
    };
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    assert_eq!(read(&resumed(&first)), read(&newest));
    assert_eq!(resumed(&newest), resumed(&first));
}
