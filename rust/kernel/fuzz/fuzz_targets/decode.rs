//! Messages, parted by a zero byte: together they are read as each alone, JSON as `serde_json` has it, and nothing panics.
#![no_main]

#[path = "../../tests/slow/mod.rs"]
mod slow;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use slow::{read, read_all};
use tickstockpl_kernel::decode::Decoder;

/// After so many, what has been the same each time is read as text.
const SETTLED: usize = 288;

fuzz_target!(|data: &[u8]| {
    let payloads: Vec<Vec<u8>> = data.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
    let mut expected = Vec::new();
    for payload in &payloads {
        let alone = read(&mut Decoder::default(), payload);
        if let Ok(document) = serde_json::from_slice::<Value>(payload) {
            let slow: Vec<_> = match &document {
                Value::Array(elements) => elements.iter().map(slow::object).collect(),
                object => vec![slow::object(object)],
            };
            assert_eq!(alone.iter().map(|(answer, _)| answer.clone()).collect::<Vec<_>>(), slow);
        }
        expected.push(alone);
    }
    let first = payloads.iter().take(1).cycle().take(SETTLED).cloned();
    let feed: Vec<_> = first.chain(payloads.iter().cloned()).chain(payloads.iter().cloned()).collect();
    let first = expected.iter().take(1).cycle().take(SETTLED).cloned();
    let answers: Vec<_> = first.chain(expected.iter().cloned()).chain(expected.iter().cloned()).flatten().collect();
    assert_eq!(read_all(&mut Decoder::default(), &feed), answers);
});
