//! The producer's aggregate, byte for byte, and how tests read it and its relatives.
#![allow(unreachable_pub, reason = "shared by test crates, of which each has its own copy")]

use tickstockpl_kernel::condition::Rights;
use tickstockpl_kernel::decode::Decoder;
use tickstockpl_kernel::tick::{Kind, Reason, Tick};

pub const AGGREGATE: &str = r#"{"ticker": "AAPL", "price": 227.43, "volume": 1523, "timestamp": 1757600460.0, "event_type": "A", "source": "polygon", "tick_open": 227.41, "tick_high": 227.45, "tick_low": 227.39, "tick_close": 227.43, "tick_volume": 1523, "tick_vwap": 227.4182, "bid": null, "ask": null}"#;

pub type Answer = Result<(String, Tick<'static>), Reason>;

/// Every answer to one message, with the raw JSON of each.
pub fn answers(decoder: &mut Decoder, payload: &[u8]) -> Vec<(Answer, Vec<u8>)> {
    let mut answers = Vec::new();
    decoder.decode(&[payload], |_, tick, raw| {
        let owned = tick.map(|tick| {
            (String::from_utf8(tick.ticker.to_vec()).expect("tickers are UTF-8"), Tick { ticker: b"", ..tick })
        });
        answers.push((owned, raw.to_vec()));
    });
    answers
}

/// The only answer, read twice: in any order, and in the order learned.
pub fn answer(payload: impl AsRef<[u8]>) -> Answer {
    let payload = payload.as_ref();
    let mut decoder = Decoder::default();
    let first = answers(&mut decoder, payload);
    assert_eq!(answers(&mut decoder, payload), first);
    answers(&mut decoder, AGGREGATE.as_bytes());
    assert_eq!(answers(&mut decoder, payload), first);
    let [(answer, _)] = &first[..] else { panic!("one answer expected, was {first:?}") };
    answer.clone()
}

pub fn reason(payload: impl AsRef<[u8]>) -> Reason {
    answer(payload).expect_err("refused")
}

pub fn tick(payload: impl AsRef<[u8]>) -> Tick<'static> {
    answer(payload).expect("accepted").1
}

/// The aggregate with one piece of it replaced.
pub fn with(piece: &str, other: &str) -> String {
    assert!(AGGREGATE.contains(piece), "{piece} is in the example");
    AGGREGATE.replacen(piece, other, 1)
}

/// The aggregate with one more pair.
pub fn plus(pair: &str) -> String {
    with("\"ask\": null", pair)
}

pub const EXAMPLE: Tick<'static> = Tick {
    ticker: b"",
    kind: Kind::A,
    ts_us: 1_757_600_460_000_000,
    start_us: None,
    price: 227.43,
    open: Some(227.41),
    high: Some(227.45),
    low: Some(227.39),
    close: Some(227.43),
    vwap: Some(227.4182),
    volume: 1523,
    seq: None,
    accumulated_volume: None,
    simulated: false,
    rights: Rights::REGULAR_SALE,
};
