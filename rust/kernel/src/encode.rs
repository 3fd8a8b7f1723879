//! Events as JSON texts: what the application reads on its channels and what the database keeps.
//!
//! A minute's end brings thousands of events, and each is written straight from its values: no tree, no map, one
//! allocation for all of a call. Keys, their order and what is left out are `docs/wire-format.md`'s.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::copy::Copy;
use crate::decimal::in_12_digits;
use crate::event::EventId;
use crate::timeframe::Timeframe;

/// The names of a bar's quality bits, lowest first.
const QUALITY: [&str; 4] = ["partial_start", "gap", "provisional", "late_revised"];

const SOURCE: &str = r#""source":"TickStockPL""#;

/// What is said of a pattern in each of its events.
#[derive(Clone, Debug)]
pub struct Naming {
    plain_name: String,
    /// `None`: that of the bar.
    tier: Option<String>,
    /// This and the others as JSON, quotes included.
    id: String,
    name: String,
    talib: Option<String>,
    points: Vec<String>,
    conditions: Vec<String>,
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
    fn expires_us(&self, lifetime_us: i64) -> i64 {
        self.end_us.saturating_add(lifetime_us.max(self.end_us.saturating_sub(self.ts_us)))
    }

    /// What a consumer sorts it by.
    fn tier(&self) -> &str {
        self.pattern.tier.as_deref().unwrap_or_else(|| self.timeframe.tier())
    }

    fn close(&self) -> f64 {
        self.prices[3]
    }

    fn direction(&self) -> &'static str {
        quoted_direction(self.direction)
    }
}

fn quoted_direction(direction: i32) -> &'static str {
    match direction {
        1 => r#""bullish""#,
        -1 => r#""bearish""#,
        _ => r#""neutral""#,
    }
}

/// Writes events one after another.
#[derive(Debug, Default)]
pub struct Encoder {
    text: Vec<u8>,
    /// The END that was written last, in ISO-8601: the events of a minute share it.
    end: String,
    end_us: i64,
}

impl Encoder {
    /// The message for `tickstock.events.patterns`, read alike by every release of the application.
    ///
    /// `lifetime_us`: from the bar's END until the event expires. `seq`: the message's number on its channel.
    pub fn universal(&mut self, event: &Event<'_>, lifetime_us: i64, seq: u64) -> &[u8] {
        self.begin(event.end_us);
        self.push("{");
        self.push_identity(event);
        self.push_all([r#","event_type":"pattern_detected","#, SOURCE, r#","timestamp":""#]);
        self.push_end();
        self.push(r#"","data":{"#);
        self.push_identity(event);
        self.push_all([r#","source":""#, event.tier(), r#"","timestamp":"#]);
        self.push_seconds(event.end_us);
        self.push(r#","expires_at":"#);
        self.push_seconds(event.expires_us(lifetime_us));
        self.push(r#","current_price":"#);
        self.push_json(&event.close());
        self.push(r#","price_change":"#);
        self.push_json(&in_12_digits(event.price_change));
        self.push_all([r#","direction":"#, event.direction(), r#","indicators":"#]);
        self.push_indicators(event.indicators.map(in_12_digits));
        self.push(r#","bar":"#);
        self.push_bar(event);
        self.push(r#","bar_start":"#);
        self.push_seconds(event.ts_us);
        self.push(r#","bar_end":"#);
        self.push_seconds(event.end_us);
        self.push_levels(event);
        self.push_remarks(event);
        self.push("}");
        self.push_seq(seq);
        &self.text
    }

    /// The message for `tickstock:patterns:streaming`.
    ///
    /// `session_id`: a JSON text, quotes included ([`quoted`]). `seq`: the message's number on its channel.
    pub fn streaming(&mut self, event: &Event<'_>, session_id: &str, seq: u64) -> &[u8] {
        self.begin(event.end_us);
        self.push_all([r#"{"type":"streaming_pattern","event":"pattern_detected","session_id":"#, session_id]);
        self.push(r#","timestamp":""#);
        self.push_end();
        self.push_all([r#"","#, SOURCE, r#","detection":{"#]);
        self.push_names(event);
        self.push(r#","timestamp":""#);
        self.push_end();
        self.push_all([
            r#"","timeframe":""#,
            event.timeframe.name(),
            r#"","parameters":{"direction":"#,
            event.direction(),
        ]);
        self.push_levels(event);
        self.push(r#"},"bar_data":"#);
        self.push_bar(event);
        self.push_all([r#","metadata":{"session_id":"#, session_id, r#","event_id":""#, event.event_id, "\""]);
        self.push_remarks(event);
        self.push("}}");
        self.push_seq(seq);
        &self.text
    }

    /// The value of a pattern-cache entry: the nine fields of the application's `CachedPattern`, which takes no tenth.
    pub fn cached(&mut self, event: &Event<'_>, lifetime_us: i64) -> &[u8] {
        self.begin(event.end_us);
        self.push(r#"{"symbol":"#);
        self.push_json(event.symbol);
        self.push_all([r#","pattern_type":"#, &event.pattern.name, r#","confidence":"#]);
        self.push_json(&event.confidence);
        self.push(r#","current_price":"#);
        self.push_json(&event.close());
        self.push(r#","price_change":"#);
        self.push_json(&in_12_digits(event.price_change));
        self.push(r#","detected_at":"#);
        self.push_seconds(event.end_us);
        self.push(r#","expires_at":"#);
        self.push_seconds(event.expires_us(lifetime_us));
        self.push(r#","indicators":"#);
        let [volume, rsi, strength] = event.indicators;
        self.push_indicators([volume, rsi, as_multiple(strength)].map(in_12_digits));
        self.push_all([r#","source_tier":""#, event.tier(), r#""}"#]);
        &self.text
    }

    /// Writes a row of the table in which events are staged: id, symbol, name, direction, confidence, payload, tier, timeframe,
    /// shown.
    ///
    /// `false`, and nothing is written, if the event's id is none.
    #[must_use]
    pub fn stage(&mut self, event: &Event<'_>, rows: &mut Copy) -> bool {
        let Some(id) = EventId::parse(event.event_id) else { return false };
        rows.begin(9);
        rows.push(&id.bytes());
        rows.push(event.symbol.as_bytes());
        rows.push(event.pattern.plain_name.as_bytes());
        rows.push(&(event.direction as i16).to_be_bytes());
        rows.push(&event.confidence.to_be_bytes());
        rows.push_jsonb(self.stored(event));
        rows.push(event.tier().as_bytes());
        rows.push(event.timeframe.name().as_bytes());
        rows.push(&[u8::from(event.shown)]);
        true
    }

    /// What the database keeps of an event: `payload` of `pattern_event`, the application's `pattern_data`.
    fn stored(&mut self, event: &Event<'_>) -> &[u8] {
        self.begin(event.end_us);
        self.push_all([r#"{"pattern_id":"#, &event.pattern.id, r#","direction":"#, event.direction()]);
        self.push(r#","current_price":"#);
        self.push_json(&event.close());
        self.push(r#","price_change":"#);
        self.push_json(&event.price_change);
        for (key, us) in
            [(r#","bar_start":"#, event.ts_us), (r#","bar_end":"#, event.end_us), (r#","first_bar":"#, event.first_us)]
        {
            self.push(key);
            self.push_seconds(us);
        }
        self.push(r#","bars":"#);
        self.push_json(&event.bars);
        self.push(r#","revision":"#);
        self.push_json(&event.revision);
        match event.supersedes {
            "" => self.push(r#","supersedes":null"#),
            id => self.push_all([r#","supersedes":""#, id, "\""]),
        }
        for (key, price) in [r#","entry":"#, r#","stop":"#, r#","target":"#].into_iter().zip(event.levels) {
            self.push(key);
            self.push_json(&price);
        }
        self.push(r#","invalidation":"#);
        self.push_json(&event.levels[3]);
        self.push(r#","atr":"#);
        self.push_json(&event.atr);
        self.push_conflict(event);
        self.push_explained(event);
        self.push_rates(event);
        self.push(r#","bar":"#);
        self.push_bar(event);
        self.push(r#","indicators":"#);
        self.push_indicators(event.indicators);
        self.push(r#","quality":"#);
        self.push_quality(event.quality);
        self.push_all([r#","talib_name":"#, event.pattern.talib.as_deref().unwrap_or("null"), r#","talib_value":"#]);
        self.push_json(&event.talib_value);
        self.push("}");
        &self.text
    }

    fn begin(&mut self, end_us: i64) {
        self.text.clear();
        if self.end.is_empty() || self.end_us != end_us {
            self.end_us = end_us;
            let end = DateTime::from_timestamp_micros(end_us).unwrap_or(DateTime::<Utc>::MAX_UTC);
            // the one form that Python and every browser's `new Date` read alike
            self.end = end.to_rfc3339_opts(SecondsFormat::Millis, true);
        }
    }

    fn push(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    fn push_all<const N: usize>(&mut self, texts: [&str; N]) {
        for text in texts {
            self.push(text);
        }
    }

    fn push_json<T: Serialize + ?Sized>(&mut self, value: &T) {
        push_json(&mut self.text, value);
    }

    fn push_seconds(&mut self, us: i64) {
        self.push_json(&(us as f64 / 1e6));
    }

    /// The end of a message.
    fn push_seq(&mut self, seq: u64) {
        self.push(r#","seq":"#);
        self.push_json(&seq);
        self.push("}");
    }

    fn push_end(&mut self) {
        self.text.extend_from_slice(self.end.as_bytes());
    }

    /// Symbol, the pattern's name under its three keys, and the confidence.
    fn push_names(&mut self, event: &Event<'_>) {
        let name = &event.pattern.name;
        self.push(r#""symbol":"#);
        self.push_json(event.symbol);
        self.push_all([r#","pattern":"#, name, r#","pattern_name":"#, name, r#","pattern_type":"#, name]);
        self.push(r#","confidence":"#);
        self.push_json(&event.confidence);
    }

    /// What a universal message has at its top and again in its data.
    fn push_identity(&mut self, event: &Event<'_>) {
        self.push_names(event);
        self.push_all([r#","tier":""#, event.tier(), r#"","timeframe":""#, event.timeframe.name()]);
        self.push_all([r#"","flow_id":""#, event.event_id, "\""]);
    }

    fn push_bar(&mut self, event: &Event<'_>) {
        for (key, price) in [r#"{"open":"#, r#","high":"#, r#","low":"#, r#","close":"#].into_iter().zip(event.prices) {
            self.push(key);
            self.push_json(&price);
        }
        self.push(r#","volume":"#);
        self.push_json(&event.volume);
        self.push("}");
    }

    /// An object of the values that are finite.
    fn push_known<const N: usize>(&mut self, keys: [&str; N], values: [f64; N]) {
        self.push("{");
        let mut comma = "";
        for (key, value) in keys.into_iter().zip(values) {
            if value.is_finite() {
                self.push_all([comma, key]);
                self.push_json(&value);
                comma = ",";
            }
        }
        self.push("}");
    }

    fn push_indicators(&mut self, values: [f64; 3]) {
        self.push_known([r#""relative_volume":"#, r#""rsi":"#, r#""relative_strength":"#], values);
    }

    fn push_levels(&mut self, event: &Event<'_>) {
        if event.levels.iter().any(|price| price.is_finite()) {
            self.push(r#","levels":"#);
            let keys = [r#""entry":"#, r#""stop":"#, r#""target":"#, r#""invalidation":"#];
            self.push_known(keys, event.levels.map(in_12_digits));
        }
    }

    fn push_quality(&mut self, bits: u8) {
        self.push("[");
        let mut comma = "";
        for (bit, name) in QUALITY.into_iter().enumerate() {
            if bits >> bit & 1 == 1 {
                self.push_all([comma, "\"", name, "\""]);
                comma = ",";
            }
        }
        self.push("]");
    }

    /// What made the pattern, if there is more to say than its bars.
    fn push_explained(&mut self, event: &Event<'_>) {
        if !event.point_us.is_empty() {
            let points = event.pattern.points.iter().zip(event.point_us).zip(event.point_price);
            let mut open = r#","points":[{"role":"#;
            for ((role, &ts_us), &price) in points {
                self.push_all([open, role, r#","time":"#]);
                self.push_seconds(ts_us);
                self.push(r#","price":"#);
                self.push_json(&in_12_digits(price));
                open = r#"},{"role":"#;
            }
            self.push("}]");
        }
        if !event.margins.is_empty() {
            let mut open = r#","margins":{"#;
            for (name, &margin) in event.pattern.conditions.iter().zip(event.margins) {
                self.push_all([open, name, ":"]);
                self.push_json(&in_12_digits(margin));
                open = ",";
            }
            self.push("}");
        }
        if !event.members.is_empty() {
            let mut open = r#","members":[{"pattern_id":"#;
            for member in event.members {
                self.push_all([open, &member.pattern.id, r#","direction":"#, quoted_direction(member.direction)]);
                self.push(r#","confidence":"#);
                self.push_json(&member.confidence);
                self.push_all([r#","timeframe":""#, member.timeframe.name(), r#"","bar_start":"#]);
                self.push_seconds(member.ts_us);
                self.push(r#","bar_end":"#);
                self.push_seconds(member.end_us);
                if !member.event_id.is_empty() {
                    self.push_all([r#","event_id":""#, member.event_id, "\""]);
                }
                open = r#"},{"pattern_id":"#;
            }
            self.push("}]");
        }
    }

    /// What was measured of events like this one, if anything was.
    fn push_rates(&mut self, event: &Event<'_>) {
        let Rates { hit_rate, interval: [low, high], n, base_rate, edge, match_quality } = event.rates;
        if !hit_rate.is_finite() {
            return;
        }
        for (key, rate) in [(r#","hit_rate":"#, hit_rate), (r#","hit_lo":"#, low), (r#","hit_hi":"#, high)] {
            self.push(key);
            self.push_json(&in_12_digits(rate));
        }
        self.push(r#","n":"#);
        self.push_json(&n);
        self.push(r#","base_rate":"#);
        self.push_json(&in_12_digits(base_rate));
        self.push(match edge {
            1.. => r#","edge":"+""#,
            0 => r#","edge":"0""#,
            _ => r#","edge":"-""#,
        });
        if match_quality.is_finite() {
            self.push(r#","match_quality":"#);
            self.push_json(&match_quality);
        }
    }

    fn push_conflict(&mut self, event: &Event<'_>) {
        if event.conflict {
            self.push(r#","conflict":true"#);
        }
    }

    /// What is said of few events: nothing stands for what is not known.
    fn push_remarks(&mut self, event: &Event<'_>) {
        self.push_conflict(event);
        self.push_explained(event);
        self.push_rates(event);
        if !event.supersedes.is_empty() {
            self.push_all([r#","supersedes":""#, event.supersedes, "\""]);
        }
        if event.quality != 0 {
            self.push(r#","quality":"#);
            self.push_quality(event.quality);
        }
        if let Some(name) = &event.pattern.talib {
            self.push_all([r#","talib_name":"#, name, r#","talib_value":"#]);
            self.push_json(&event.talib_value);
        }
    }
}

/// Percentage points as the multiple that the application's pattern page shows: "1.0x" is the market. It hides every pattern whose
/// own is below 0; as points half of the market would never be seen.
fn as_multiple(points: f64) -> f64 {
    1.0 + points / 100.0
}

/// Appends the command that publishes `message` on `channel`, as Redis reads it.
///
/// Source: the Redis serialization protocol (RESP2), an array of bulk strings.
pub fn push_publish(out: &mut Vec<u8>, channel: &str, message: &[u8]) {
    out.extend_from_slice(b"*3\r\n$7\r\nPUBLISH\r\n");
    for bulk in [channel.as_bytes(), message] {
        out.push(b'$');
        push_json(out, &bulk.len());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(bulk);
        out.extend_from_slice(b"\r\n");
    }
}

/// A text as JSON, quotes included.
#[must_use]
#[allow(clippy::missing_panics_doc, reason = "JSON is text")]
pub fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    push_json(&mut out, text);
    String::from_utf8(out).expect("JSON is text")
}

/// A number or text as JSON; a number that is not finite is `null`.
fn push_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("a vector takes every byte, and a number or text is JSON");
}
