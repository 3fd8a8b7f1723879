//! What a decoder says, and a slow reader made of `serde_json` to compare it with. Shared with the fuzz target.
#![allow(unreachable_pub, reason = "shared by crates, of which each has its own copy")]

use serde_json::{Map, Value};
use tickstockpl_kernel::condition::Rights;
use tickstockpl_kernel::decode::Decoder;
use tickstockpl_kernel::tick::{Kind, Reason, Tick};

pub type Answer = Result<(Vec<u8>, Tick<'static>), Reason>;

/// Every answer to one message, and the bytes of each.
pub fn read(decoder: &mut Decoder, payload: &[u8]) -> Vec<(Answer, Vec<u8>)> {
    answers(decoder, &[payload])
}

/// Every answer to many messages, read together.
pub fn read_all(decoder: &mut Decoder, payloads: &[Vec<u8>]) -> Vec<(Answer, Vec<u8>)> {
    answers(decoder, &payloads.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn answers(decoder: &mut Decoder, payloads: &[&[u8]]) -> Vec<(Answer, Vec<u8>)> {
    let mut answers = Vec::new();
    decoder.decode(payloads, |_, tick, raw| {
        let answer = tick.map(|tick| (tick.ticker.to_vec(), Tick { ticker: b"", ..tick }));
        answers.push((answer, raw.to_vec()));
    });
    answers
}

/// The oracle's answer to one object.
pub fn object(object: &Value) -> Answer {
    let Some(object) = object.as_object() else {
        return Err(Reason::NotAnObject);
    };
    let get = |key: &str| object.get(key).filter(|value| !value.is_null());
    let ticker = get("ticker").or(get("symbol")).ok_or(Reason::MissingField)?.as_str().ok_or(Reason::WrongType)?;
    if ticker.is_empty() || ticker.len() > 20 || ticker.chars().any(|c| c < '\u{21}' || c == '\u{7f}') {
        return Err(Reason::BadTicker);
    }
    let kind = match get("event_type") {
        None if get("type") == Some(&Value::from("market_tick")) => Kind::A,
        None => return Err(Reason::MissingField),
        Some(Value::String(name)) => match name.as_str() {
            "A" => Kind::A,
            "T" => Kind::T,
            "Q" => Kind::Q,
            _ => return Err(Reason::UnknownKind),
        },
        Some(_) => return Err(Reason::WrongType),
    };
    let stamp = get("timestamp").ok_or(Reason::MissingField)?.as_f64().ok_or(Reason::WrongType)?;
    if !(946_684_800.0..=4_102_444_800.0).contains(&stamp) {
        return Err(Reason::BadTimestamp);
    }
    let ts_us = (stamp * 1e6).round_ties_even() as i64;
    let price = read_price(object, "price")?.ok_or(Reason::MissingField)?;
    let open = read_price(object, "tick_open")?;
    let high = read_price(object, "tick_high")?;
    let low = read_price(object, "tick_low")?;
    let close = read_price(object, "tick_close")?;
    let vwap = read_price(object, "tick_vwap")?;
    let tick_volume = read_count(object, "tick_volume", 1 << 53)?;
    let other_volume = read_count(object, "volume", 1 << 53)?;
    let none = (kind == Kind::Q).then_some(0);
    let volume = tick_volume.or(other_volume).or(none).ok_or(Reason::MissingField)?;
    let start_us = match get("tick_start_timestamp").map(|start| start.as_f64().ok_or(Reason::WrongType)).transpose()? {
        None => None,
        Some(start) => {
            let start_us = (start * 1e6).round_ties_even() as i64;
            if !(ts_us - 60_000_000..=ts_us).contains(&start_us) {
                return Err(Reason::BadTimestamp);
            }
            Some(start_us)
        }
    };
    let seq = read_count(object, "seq", i64::MAX)?;
    let accumulated_volume = read_count(object, "accumulated_volume", i64::MAX)?;
    let source = get("source").map(|source| source.as_str().ok_or(Reason::WrongType)).transpose()?;
    let rights = get("conditions").map_or(Ok(Rights::REGULAR_SALE), rights)?;
    let simulated = source == Some("simulated");
    let tick = Tick {
        ticker: b"",
        kind,
        ts_us,
        start_us,
        price,
        open,
        high,
        low,
        close,
        vwap,
        volume,
        seq,
        accumulated_volume,
        simulated,
        rights,
    };
    Ok((ticker.as_bytes().to_vec(), tick))
}

fn read_price(object: &Map<String, Value>, key: &str) -> Result<Option<f64>, Reason> {
    let Some(value) = object.get(key).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let price = value.as_f64().ok_or(Reason::WrongType)?;
    if price > 0.0 { Ok(Some(price)) } else { Err(Reason::BadPrice) }
}

fn read_count(object: &Map<String, Value>, key: &str, most: i64) -> Result<Option<i64>, Reason> {
    let Some(value) = object.get(key).filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let number = value.as_f64().ok_or(Reason::WrongType)?;
    let whole = number.fract() == 0.0 && number < 9.3e18;
    let count = value.as_i64().or(whole.then_some(number as i64)).filter(|count| (0..=most).contains(count));
    count.map(Some).ok_or(Reason::BadVolume)
}

fn rights(value: &Value) -> Result<Rights, Reason> {
    let mut rights = Rights::REGULAR_SALE;
    for id in value.as_array().ok_or(Reason::WrongType)? {
        let id = id.as_f64().filter(|id| id.fract() == 0.0).ok_or(Reason::WrongType)?;
        rights = rights.with(id as i64);
    }
    Ok(rights)
}
