//! Events as JSON texts: what the application reads on its channels and what the database keeps.
//!
//! A minute's end brings thousands of events, and each is written straight from its values: no tree, no map, one
//! allocation for all of a call. Keys, their order and what is left out are `docs/wire-format.md`'s.

mod event;
mod parts;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::copy::Copy;
use crate::decimal::in_12_digits;
use crate::event::EventId;

pub use event::{Event, Member, Naming, Rates};

const SOURCE: &str = r#""source":"TickStockPL""#;

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
