//! What a channel has come to, as text: with it, the bars that were written and the messages since, an engine goes on.
//!
//! Open bars are not in it: the messages that made them come again.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::channel::{Channel, Flagged, Held};
use crate::error::KernelError;
use crate::snapshot::is_near;

/// What longer bars know of all channels, which is in the standing of each.
pub(crate) struct Passed<'a> {
    /// Bars that end here or before may have closed, µs; `None` before the first.
    pub(crate) us: Option<i64>,
    /// When ticks may have been missed.
    pub(crate) stretches: Cow<'a, [Flagged]>,
}

/// The standing of a channel.
pub(crate) fn write(channel: &Channel, passed: &Passed<'_>) -> String {
    let stretches = |each: &Flagged| json!([each.from_us, each.to_us, each.flag]);
    let missed: Vec<Value> = passed.stretches.iter().map(stretches).collect();
    let held = channel.held.as_ref().map(|held| json!([held.src, String::from_utf8_lossy(&held.raw)]));
    let flagged: Vec<Value> = channel.flagged.iter().map(stretches).collect();
    json!({
        "event_us": channel.event_us,
        "moved_us": channel.moved_us,
        "listening_us": channel.listening_us,
        "held": held,
        "pending": channel.pending,
        "over": channel.over,
        "deaf": channel.deaf,
        "flagged": flagged,
        "numbered": channel.numbered,
        "passed_us": passed.us,
        "missed": missed,
    })
    .to_string()
}

/// A channel of that standing, without an open bar; and what longer bars knew.
///
/// # Errors
/// [`KernelError::Standing`] if the text is none.
pub(crate) fn read(text: &str) -> Result<(Channel, Passed<'static>), KernelError> {
    let fault = |what: &str| KernelError::Standing(what.to_owned());
    let value: Value = serde_json::from_str(text).map_err(|error| fault(&error.to_string()))?;
    let fields = value.as_object().ok_or_else(|| fault("it is no object"))?;
    let mut channel = Channel::default();
    channel.event_us = optional(fields, "event_us")?.map(believed).transpose()?;
    channel.moved_us = optional(fields, "moved_us")?.ok_or_else(|| fault("moved_us is null"))?;
    channel.listening_us = optional(fields, "listening_us")?.ok_or_else(|| fault("listening_us is null"))?;
    if let Some(held) = fields.get("held").filter(|held| !held.is_null()) {
        let parts = held[0].as_i64().zip(held[1].as_str());
        let (src, raw) = parts.ok_or_else(|| fault("held is no number and message"))?;
        channel.held = Some(Held::read(raw.as_bytes(), src).ok_or_else(|| fault("held is no tick"))?);
    }
    if let Some(pending) = fields.get("pending").filter(|pending| !pending.is_null()) {
        let since = pending[1].as_i64().map(believed).transpose()?;
        channel.pending = Some((flag(&pending[0])?, since));
        channel.deaf = fields.get("deaf").and_then(Value::as_bool).unwrap_or(true);
    }
    // Those of before ticks went on to end a stretch have none.
    if let Some(over) = fields.get("over").filter(|over| !over.is_null()) {
        let parts = over[0].as_i64().zip(over[1].as_i64());
        let (stamp_us, until_us) = parts.ok_or_else(|| fault("over is no pair of times"))?;
        channel.over = Some((believed(stamp_us)?, until_us));
    }
    let flagged = fields.get("flagged").ok_or_else(|| fault("flagged is missing"))?;
    channel.flagged = stretches(flagged)?.into();
    // Standings of before there were numbers have none.
    if let Some(numbered) = fields.get("numbered") {
        let refused = numbered[1].as_i64().map(believed).ok_or_else(|| fault("numbered is no pair"))??;
        channel.numbered = (numbered[0].as_i64(), refused);
    }
    // Nor do those of before they told of longer bars.
    let missed = fields.get("missed").map_or(Ok(Vec::new()), stretches)?;
    if missed.iter().any(|each| !is_near(each.from_us) || !is_near(each.to_us)) {
        return Err(fault("what was missed is at no time"));
    }
    let us = fields.get("passed_us").and_then(Value::as_i64).filter(|us| is_near(*us));
    Ok((channel, Passed { us, stretches: missed.into() }))
}

fn stretches(value: &Value) -> Result<Vec<Flagged>, KernelError> {
    let fault = |what: &str| KernelError::Standing(what.to_owned());
    let each = |each: &Value| {
        let ends = each[0].as_i64().zip(each[1].as_i64());
        let (from_us, to_us) = ends.ok_or_else(|| fault("a flagged stretch has no ends"))?;
        Ok(Flagged { from_us, to_us, flag: flag(&each[2])? })
    };
    value.as_array().ok_or_else(|| fault("flagged is no list"))?.iter().map(each).collect()
}

fn optional(fields: &Map<String, Value>, name: &str) -> Result<Option<i64>, KernelError> {
    match fields.get(name) {
        None => Err(KernelError::Standing(format!("{name} is missing"))),
        Some(Value::Null) => Ok(None),
        Some(value) => {
            let whole = value.as_i64().ok_or_else(|| KernelError::Standing(format!("{name} is no whole number")))?;
            Ok(Some(whole))
        }
    }
}

/// A stamp that can be counted on from without an overflow.
fn believed(us: i64) -> Result<i64, KernelError> {
    let near = (0..=1 << 60).contains(&us);
    near.then_some(us).ok_or_else(|| KernelError::Standing(format!("{us} is no time")))
}

fn flag(value: &Value) -> Result<u8, KernelError> {
    let bits = value.as_u64().and_then(|bits| u8::try_from(bits).ok());
    bits.ok_or_else(|| KernelError::Standing("a flag is no byte".to_owned()))
}
