//! Any message: both readers agree, and agree with a slow reader made of `serde_json`.
#![allow(missing_docs, reason = "a test has no readers of its docs")]

mod slow;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use slow::{read, read_all};
use tickstockpl_kernel::decode::Decoder;
use tickstockpl_kernel::symbol::SymbolId;
use tickstockpl_kernel::tick::Reason;
use tickstockpl_kernel::ticks::Ticks;

/// A number as some producer may write it.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (1_u32..10_000_000, 0_usize..7).prop_map(|(cents, places)| format!("{:.*}", places, f64::from(cents) / 100.0)),
        2 => (0_u64..=u64::MAX).prop_map(|n| n.to_string()),
        2 => (0_u32..300_000).prop_map(|n| n.to_string()),
        1 => any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(|x| format!("{x:?}")),
        1 => (0.0..1e5_f64).prop_map(|x| format!("{x:e}")),
        1 => "(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][-+]?[0-9]{1,2})?",
        1 => select(&["0", "-0", "0.0", "-1", "1523.0", "1e2", "9007199254740992", "9007199254740993",
            "9007199254740993.0", "00", "1.", "1e", "0.1.2", "12345678", "1234567.8", "123456789.12345678"][..])
            .prop_map(String::from),
    ]
}

fn stamp() -> impl Strategy<Value = String> {
    prop_oneof![
        (1_757_600_400_000_u64..1_757_600_520_000).prop_map(|ms| format!("{}.{:03}", ms / 1000, ms % 1000)),
        (1_757_600_400_u64..1_757_600_520).prop_map(|s| format!("{s}.0")),
        (1_757_600_400.0..1_757_600_520.0_f64).prop_map(|s| format!("{s:?}")),
        (1_757_600_400_u64..1_757_600_520).prop_map(|s| s.to_string()),
    ]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(&["A", "AAPL", "BRK.B", "simulated", "polygon", "market_tick", "T", "Q", "ABCDEFGHIJKLMNOPQRSTU",
            "", "A B", "\\u0041", "\\ud83d\\ude00", "é", "\\\"", "\\n", "x\u{7f}", "\t"][..]).prop_map(String::from),
        1 => "[A-Z.]{1,22}",
        1 => "\\PC{0,12}",
    ]
    .prop_map(|text| format!("\"{}\"", if text == "\"" { "" } else { &text }))
}

fn odd() -> impl Strategy<Value = String> {
    select(
        &[
            "null",
            "true",
            "false",
            "{}",
            "[]",
            "[12, 37]",
            "[14,41.0]",
            "[1.5]",
            "[null]",
            "{\"a\": [1, {\"b\": null}]}",
            "[[[]]]",
            "[1,]",
            "nul",
            "",
            "1 2",
        ][..],
    )
    .prop_map(String::from)
}

fn value(usual: BoxedStrategy<String>) -> impl Strategy<Value = String> {
    prop_oneof![30 => usual, 1 => number(), 1 => stamp(), 1 => text(), 1 => odd()]
}

fn pair(key: &'static str) -> BoxedStrategy<(String, String)> {
    let price = (1_u32..10_000_000).prop_map(|cents| format!("{}", f64::from(cents) / 100.0)).boxed();
    let usual = match key {
        "ticker" | "symbol" => "\"[A-Z.]{1,6}\"".boxed(),
        "event_type" => select(&["\"A\"", "\"T\"", "\"Q\""][..]).prop_map(String::from).boxed(),
        "type" => Just("\"market_tick\"".into()).boxed(),
        "source" => select(&["\"polygon\"", "\"simulated\"", "null"][..]).prop_map(String::from).boxed(),
        "timestamp" | "tick_start_timestamp" => stamp().boxed(),
        "conditions" => odd().boxed(),
        "volume" | "tick_volume" | "seq" | "accumulated_volume" => (0_u32..200_000).prop_map(|n| n.to_string()).boxed(),
        "price" => price,
        "unknown" => prop_oneof![number(), text(), odd()].boxed(),
        _ => prop_oneof![3 => price, 1 => Just("null".into())].boxed(),
    };
    value(usual).prop_map(move |value| (key.into(), value)).boxed()
}

const PRODUCERS: [&str; 14] = [
    "ticker",
    "price",
    "volume",
    "timestamp",
    "event_type",
    "source",
    "tick_open",
    "tick_high",
    "tick_low",
    "tick_close",
    "tick_volume",
    "tick_vwap",
    "bid",
    "ask",
];
const OPTIONAL: [&str; 7] =
    ["tick_start_timestamp", "seq", "accumulated_volume", "conditions", "symbol", "type", "unknown"];

fn object_of(pairs: &[(String, String)], comma: &str, colon: &str) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("\"{key}\"{colon}{value}")).collect();
    format!("{{{}}}", pairs.join(comma))
}

fn object() -> impl Strategy<Value = String> {
    let keys = prop_oneof![
        3 => Just(PRODUCERS.to_vec()),
        1 => Just([&PRODUCERS[..], &OPTIONAL[..4]].concat()),
        2 => proptest::sample::subsequence([&PRODUCERS[..], &OPTIONAL[..]].concat(), 8..21).prop_shuffle(),
        1 => proptest::collection::vec(select([&PRODUCERS[..], &OPTIONAL[..]].concat()), 0..24),
    ];
    let spacing = select(&[(", ", ": "), (",", ":"), (" ,\n\t", " : ")][..]);
    (keys.prop_flat_map(|keys| keys.into_iter().map(pair).collect::<Vec<_>>()), spacing)
        .prop_map(|(pairs, (comma, colon))| object_of(&pairs, comma, colon))
}

fn message() -> impl Strategy<Value = String> {
    prop_oneof![5 => object(), 1 => proptest::collection::vec(object(), 0..5).prop_map(|objects| format!("[{}]", objects.join(", ")))]
}

/// Messages with some bytes changed, added or taken away.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let mutation =
        (any::<prop::sample::Index>(), 0_u8..3, prop_oneof![any::<u8>(), select(&b"\"\\{}[],:0.eE- nA\0\t"[..])]);
    (message(), proptest::collection::vec(mutation, 0..4)).prop_map(|(message, mutations)| {
        let mut bytes = message.into_bytes();
        for (index, what, byte) in mutations {
            let at = index.index(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
            match what {
                0 if !bytes.is_empty() => bytes[at] = byte,
                1 if !bytes.is_empty() => drop(bytes.remove(at)),
                _ => bytes.insert(at, byte),
            }
        }
        bytes
    })
}

/// Messages of one form, most of whose values change from one to the next.
fn feed() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let keys = prop_oneof![
        Just(PRODUCERS.to_vec()),
        proptest::sample::subsequence([&PRODUCERS[..], &OPTIONAL[..4]].concat(), 8..18).prop_shuffle(),
    ];
    let spacing = select(&[(", ", ": "), (",", ":")][..]);
    let pairs = |keys: &[&'static str]| keys.iter().map(|key| pair(key)).collect::<Vec<_>>();
    (keys, spacing).prop_flat_map(move |(keys, (comma, colon))| {
        let shape = pairs(&keys);
        let changed = proptest::collection::vec((any::<prop::sample::Index>(), pairs(&keys)), 1..40);
        (shape, changed).prop_map(move |(first, changed)| {
            let mut pairs = first;
            let mut messages = Vec::new();
            for (index, fresh) in changed {
                let at = index.index(pairs.len());
                pairs[at] = fresh[at].clone();
                messages.push(object_of(&pairs, comma, colon).into_bytes());
            }
            messages
        })
    })
}

/// A decoder that has just learned the order of `like`, if that makes a tick.
fn taught(like: &[u8]) -> Decoder {
    let mut decoder = Decoder::default();
    read(&mut decoder, like);
    decoder
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_a_decoder_has_seen_before_never_shows_in_an_answer(before in message(), payload in bytes()) {
        let expected = read(&mut Decoder::default(), &payload);
        prop_assert_eq!(&read(&mut taught(before.as_bytes()), &payload), &expected);
        prop_assert_eq!(&read(&mut taught(&payload), &payload), &expected);
    }

    #[test]
    fn every_valid_message_is_read_as_the_slow_reader_reads_it(payload in message()) {
        let Ok(document) = serde_json::from_str::<Value>(&payload) else { return Ok(()) };
        let expected: Vec<_> = match &document {
            Value::Array(elements) => elements.iter().map(slow::object).collect(),
            object => vec![slow::object(object)],
        };
        for mut decoder in [Decoder::default(), taught(payload.as_bytes())] {
            let answers: Vec<_> = read(&mut decoder, payload.as_bytes()).into_iter().map(|(answer, _)| answer).collect();
            prop_assert_eq!(&answers, &expected);
        }
    }

    #[test]
    fn what_the_slow_reader_refuses_is_bad_json(payload in bytes()) {
        let error = serde_json::from_slice::<Value>(&payload).err();
        let narrower = error.is_some_and(|error| !error.to_string().contains("out of range"));
        let python = [&b"NaN"[..], b"Infinity", b"\\ud"].iter().any(|word| payload.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word)));
        if narrower && !python {
            prop_assert_eq!(read(&mut Decoder::default(), &payload), [(Err(Reason::BadJson), payload)]);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(!read(&mut Decoder::default(), &payload).is_empty() || payload.trim_ascii().starts_with(b"["));
    }

    #[test]
    fn every_double_is_read_to_the_last_bit(price in prop_oneof![any::<f64>(), 0.0..1e6_f64, 1e-9..1.0_f64]) {
        let price = price.abs();
        prop_assume!(price > 0.0 && price.is_finite());
        for written in [format!("{price}"), format!("{price:?}"), format!("{price:e}")] {
            let payload = format!(r#"{{"ticker":"A","event_type":"Q","timestamp":1757600460,"price":{written}, "volume": 1}}"#);
            let mut decoder = Decoder::default();
            for _ in 0..2 {
                let answers = read(&mut decoder, payload.as_bytes());
                prop_assert_eq!(answers[0].0.as_ref().map(|(_, tick)| tick.price), Ok(price));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn messages_read_together_are_read_as_each_alone(
        like in message(), settled in 0_usize..300, feed in feed(), others in proptest::collection::vec(bytes(), 0..20)
    ) {
        let like = like.into_bytes();
        let others: Vec<_> = feed.iter().cloned().chain(others).chain(feed.iter().cloned()).collect();
        let mut expected: Vec<_> = std::iter::repeat_n(read(&mut Decoder::default(), &like), settled).flatten().collect();
        expected.extend(others.iter().flat_map(|payload| read(&mut Decoder::default(), payload)));
        let payloads: Vec<_> = std::iter::repeat_n(like, settled).chain(others).collect();
        prop_assert_eq!(read_all(&mut Decoder::default(), &payloads), expected);
    }

    #[test]
    fn a_feed_that_settles_is_read_as_each_of_its_messages_alone(feed in feed(), times in 8_usize..40) {
        let expected: Vec<_> = feed.iter().flat_map(|payload| read(&mut Decoder::default(), payload)).collect();
        let expected: Vec<_> = std::iter::repeat_n(expected, times).flatten().collect();
        let payloads: Vec<_> = std::iter::repeat_n(feed, times).flatten().collect();
        prop_assert_eq!(read_all(&mut Decoder::default(), &payloads), expected);
    }

    #[test]
    fn columns_are_the_ticks_one_below_the_other(feed in feed(), others in proptest::collection::vec(bytes(), 0..3)) {
        let payloads: Vec<_> = feed.iter().cloned().chain(feed.iter().cloned()).chain(others).collect();
        let ticks = Ticks::read(&payloads.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let or_nan = |price: Option<f64>| price.unwrap_or(f64::NAN).to_bits();
        let mut row = 0;
        for (answer, _) in read_all(&mut Decoder::default(), &payloads) {
            let Ok((ticker, tick)) = answer else { continue };
            let id = SymbolId(ticks.symbol[row] as u32);
            prop_assert_eq!(ticks.symbols.name(id).as_bytes(), ticker);
            prop_assert_eq!((ticks.ts_us[row], ticks.kind[row]), (tick.ts_us, tick.kind.letter()));
            prop_assert_eq!((ticks.price[row], ticks.volume[row]), (tick.price, tick.volume));
            let prices = [ticks.open[row], ticks.high[row], ticks.low[row], ticks.close[row], ticks.vwap[row]];
            let expected = [tick.open, tick.high, tick.low, tick.close, tick.vwap];
            prop_assert_eq!(prices.map(f64::to_bits), expected.map(or_nan));
            prop_assert_eq!((ticks.start_us[row], ticks.seq[row]), (tick.start_us.unwrap_or(-1), tick.seq.unwrap_or(-1)));
            row += 1;
        }
        prop_assert_eq!(ticks.symbol.len(), row);
    }
}
