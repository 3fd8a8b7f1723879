//! Two messages, parted by a zero byte: what a decoder read before never shows in an answer, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tickstockpl_kernel::decode::Decoder;

fn read(decoder: &mut Decoder, payload: &[u8]) -> Vec<String> {
    let mut answers = Vec::new();
    decoder.decode(&[payload], |tick, raw| answers.push(format!("{tick:?} {raw:?}")));
    answers
}

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |&byte| byte == 0);
    let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let mut decoder = Decoder::default();
    for payload in [first, first, second, first] {
        assert_eq!(read(&mut decoder, payload), read(&mut Decoder::default(), payload));
    }
});
