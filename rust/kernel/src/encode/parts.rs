//! The parts of an event's texts that several of them share.

use super::event::quoted_direction;
use super::{Encoder, Event, Rates};
use crate::decimal::in_12_digits;

/// The names of a bar's quality bits, lowest first.
const QUALITY: [&str; 4] = ["partial_start", "gap", "provisional", "late_revised"];

impl Encoder {
    /// Symbol, the pattern's name under its three keys, and the confidence.
    pub(super) fn push_names(&mut self, event: &Event<'_>) {
        let name = &event.pattern.name;
        self.push(r#""symbol":"#);
        self.push_json(event.symbol);
        self.push_all([r#","pattern":"#, name, r#","pattern_name":"#, name, r#","pattern_type":"#, name]);
        self.push(r#","confidence":"#);
        self.push_json(&event.confidence);
    }

    /// What a universal message has at its top and again in its data.
    pub(super) fn push_identity(&mut self, event: &Event<'_>) {
        self.push_names(event);
        self.push_all([r#","tier":""#, event.tier(), r#"","timeframe":""#, event.timeframe.name()]);
        self.push_all([r#"","flow_id":""#, event.event_id, "\""]);
    }

    pub(super) fn push_bar(&mut self, event: &Event<'_>) {
        for (key, price) in [r#"{"open":"#, r#","high":"#, r#","low":"#, r#","close":"#].into_iter().zip(event.prices) {
            self.push(key);
            self.push_json(&price);
        }
        self.push(r#","volume":"#);
        self.push_json(&event.volume);
        self.push("}");
    }

    /// An object of the values that are finite.
    pub(super) fn push_known<const N: usize>(&mut self, keys: [&str; N], values: [f64; N]) {
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

    pub(super) fn push_indicators(&mut self, values: [f64; 3]) {
        self.push_known([r#""relative_volume":"#, r#""rsi":"#, r#""relative_strength":"#], values);
    }

    pub(super) fn push_levels(&mut self, event: &Event<'_>) {
        if event.levels.iter().any(|price| price.is_finite()) {
            self.push(r#","levels":"#);
            let keys = [r#""entry":"#, r#""stop":"#, r#""target":"#, r#""invalidation":"#];
            self.push_known(keys, event.levels.map(in_12_digits));
        }
    }

    pub(super) fn push_quality(&mut self, bits: u8) {
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
    pub(super) fn push_explained(&mut self, event: &Event<'_>) {
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
    pub(super) fn push_rates(&mut self, event: &Event<'_>) {
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

    pub(super) fn push_conflict(&mut self, event: &Event<'_>) {
        if event.conflict {
            self.push(r#","conflict":true"#);
        }
    }

    /// What is said of few events: nothing stands for what is not known.
    pub(super) fn push_remarks(&mut self, event: &Event<'_>) {
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
