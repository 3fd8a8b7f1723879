//! Messages one by one: the producer's own, and one for each reason to refuse a tick.
#![allow(missing_docs, reason = "a test has no readers of its docs")]

mod messages;

use messages::{AGGREGATE, EXAMPLE, answer, answers, plus, reason, tick};
use tickstockpl_kernel::decode::{Decoder, MAX_MESSAGE};
use tickstockpl_kernel::tick::{Kind, Reason, Tick};

const TRADE: &str = r#"{"ticker": "AAPL", "price": 227.44, "volume": 100, "timestamp": 1757600460.123, "event_type": "T", "source": "polygon", "tick_open": null, "tick_high": null, "tick_low": null, "tick_close": 227.44, "tick_volume": 100, "tick_vwap": null, "bid": null, "ask": null}"#;
const QUOTE: &str = r#"{"ticker": "AAPL", "price": 227.445, "volume": 0, "timestamp": 1757600460.125, "event_type": "Q", "source": "polygon", "tick_open": null, "tick_high": null, "tick_low": null, "tick_close": 227.445, "tick_volume": null, "tick_vwap": null, "bid": 227.43, "ask": 227.46}"#;
const SIMULATED: &str = r#"{"ticker": "AAPL", "price": 167.44165300744962, "volume": 19185, "timestamp": 1795389832.1844554, "event_type": "A", "source": "simulated", "tick_open": 167.36, "tick_high": 167.55, "tick_low": 167.39, "tick_close": 167.44165300744962, "tick_volume": 19185, "tick_vwap": 167.65, "bid": 167.27, "ask": 167.61}"#;
const MARKET_TICK: &str = r#"{"type": "market_tick", "symbol": "AAPL", "price": 227.43, "volume": 1523, "timestamp": 1757600460.0, "source": "polygon"}"#;
const ALL_TICKS: &str = r#"{"event_type": "tick_data", "ticker": "AAPL", "price": 227.43, "volume": 1523, "timestamp": 1757600460.0, "source": "polygon", "market_status": "REGULAR"}"#;

#[test]
fn the_producers_aggregate_is_read_whole() {
    assert_eq!(answer(AGGREGATE), Ok(("AAPL".into(), EXAMPLE)));
}

#[test]
fn the_producers_trade_is_read_whole() {
    let none = Tick { open: None, high: None, low: None, vwap: None, ..EXAMPLE };
    let trade =
        Tick { kind: Kind::T, ts_us: 1_757_600_460_123_000, price: 227.44, close: Some(227.44), volume: 100, ..none };
    assert_eq!(answer(TRADE), Ok(("AAPL".into(), trade)));
}

#[test]
fn the_producers_quote_is_read_whole() {
    let none = Tick { open: None, high: None, low: None, vwap: None, ..EXAMPLE };
    let quote =
        Tick { kind: Kind::Q, ts_us: 1_757_600_460_125_000, price: 227.445, close: Some(227.445), volume: 0, ..none };
    assert_eq!(answer(QUOTE), Ok(("AAPL".into(), quote)));
}

#[test]
fn the_producers_simulated_tick_is_read_to_the_last_digit() {
    let simulated = Tick {
        ts_us: (1_795_389_832.184_455_4_f64 * 1e6).round_ties_even() as i64,
        price: 167.441_653_007_449_62,
        open: Some(167.36),
        high: Some(167.55),
        low: Some(167.39),
        close: Some(167.441_653_007_449_62),
        vwap: Some(167.65),
        volume: 19185,
        simulated: true,
        ..EXAMPLE
    };
    assert_eq!(answer(SIMULATED), Ok(("AAPL".into(), simulated)));
}

#[test]
fn a_market_tick_is_an_aggregate_by_symbol() {
    let bare = Tick { open: None, high: None, low: None, close: None, vwap: None, ..EXAMPLE };
    assert_eq!(answer(MARKET_TICK), Ok(("AAPL".into(), bare)));
}

#[test]
fn a_tick_of_all_ticks_is_of_no_known_kind() {
    assert_eq!(reason(ALL_TICKS), Reason::UnknownKind);
}

#[test]
fn an_array_gives_each_element_with_its_own_json() {
    let payload = format!(" [ {AGGREGATE} ,{TRADE}, 7,{{}}, {QUOTE} ] ");
    for mut decoder in [Decoder::default(), warm()] {
        let answers = answers(&mut decoder, payload.as_bytes());
        let raw: Vec<_> = answers.iter().map(|(_, raw)| String::from_utf8_lossy(raw)).collect();
        assert_eq!(raw, [AGGREGATE, TRADE, "7", "{}", QUOTE]);
        let reasons: Vec<_> = answers.iter().map(|(answer, _)| answer.as_ref().err().copied()).collect();
        assert_eq!(reasons, [None, None, Some(Reason::NotAnObject), Some(Reason::MissingField), None]);
    }
}

fn warm() -> Decoder {
    let mut decoder = Decoder::default();
    answers(&mut decoder, AGGREGATE.as_bytes());
    decoder
}

#[test]
fn an_empty_array_has_no_ticks() {
    assert_eq!(answers(&mut Decoder::default(), b" [ ] "), []);
}

#[test]
fn a_fault_anywhere_refuses_an_array_once_and_whole() {
    for payload in [format!("[{AGGREGATE}, {AGGREGATE}"), format!("[{AGGREGATE},]"), format!("[{AGGREGATE}] x")] {
        assert_eq!(answers(&mut warm(), payload.as_bytes()), [(Err(Reason::BadJson), payload.into_bytes())]);
    }
}

#[test]
fn a_message_cut_anywhere_is_bad_json() {
    for message in [AGGREGATE, TRADE, QUOTE, SIMULATED, MARKET_TICK] {
        for end in 0..message.len() {
            assert_eq!(reason(&message[..end]), Reason::BadJson);
        }
    }
}

#[test]
fn what_json_loads_refuses_is_bad_json() {
    let deep = format!("{}{}", "[".repeat(129), "]".repeat(129));
    let cases = [
        "",
        " ",
        "{",
        "{]",
        "tru",
        "nul",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "--1",
        "-",
        "'a'",
        "\"a",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"\n\"",
        "{\"a\":}",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":1,}",
        "[1,]",
        "[1 2]",
        "1 2",
        "-NaN",
        "nan",
        "inf",
        "\u{feff}1",
        "{\"a\":[}]}",
        &deep,
    ];
    for case in cases {
        assert_eq!(reason(case), Reason::BadJson, "{case}");
    }
}

#[test]
fn other_json_is_not_an_object() {
    for case in
        ["null", "true", "false", "NaN", "-Infinity", "Infinity", "-0", "0.5e-7", "1E+5", "\"\\ud800\"", " \"\u{e9}\" "]
    {
        assert_eq!(reason(case), Reason::NotAnObject, "{case}");
    }
}

#[test]
fn nesting_to_128_is_read_and_beyond_is_bad_json() {
    let nested = |depth: usize| plus(&format!("\"x\": {}{}", "[".repeat(depth), "]".repeat(depth)));
    assert_eq!(tick(nested(127)), EXAMPLE);
    assert_eq!(reason(nested(128)), Reason::BadJson);
    let conditions = |depth: usize| plus(&format!("\"conditions\": {}{}", "[".repeat(depth), "]".repeat(depth)));
    assert_eq!(reason(conditions(127)), Reason::WrongType);
    assert_eq!(reason(conditions(128)), Reason::BadJson);
}

#[test]
fn bytes_that_are_not_utf8_are_bad_json_wherever_they_stand() {
    let mut message = AGGREGATE.as_bytes().to_vec();
    let at = AGGREGATE.find("polygon").expect("the source");
    message[at] = 0xff;
    assert_eq!(reason(message), Reason::BadJson);
}

#[test]
fn a_message_over_the_limit_is_too_large() {
    let fill = MAX_MESSAGE - AGGREGATE.len();
    assert_eq!(tick(format!("{AGGREGATE}{}", " ".repeat(fill))), EXAMPLE);
    assert_eq!(reason(format!("{AGGREGATE}{}", " ".repeat(fill + 1))), Reason::TooLarge);
}

#[test]
fn a_feed_with_a_key_too_long_to_remember_is_read_all_the_same() {
    let message = plus(&format!("\"{}\": null, \"ask\": null", "k".repeat(120)));
    let payloads = vec![message.as_bytes(); 600];
    let mut ticks = 0;
    Decoder::default().decode(&payloads, |_, tick, _| ticks += usize::from(tick.is_ok()));
    assert_eq!(ticks, 600);
}
