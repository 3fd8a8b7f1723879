//! Bytes of a connection, cut into pieces of a size that the first byte gives: the same as in one piece, without panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tickstockpl_kernel::resp::Framer;

fn read<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, Vec<String>, Option<String>) {
    let mut framer = Framer::new(vec![b"data.raw".to_vec(), b"b".to_vec()]);
    let (mut messages, mut control) = (Vec::new(), Vec::new());
    for chunk in chunks {
        let Ok(frames) = framer.feed(chunk) else { break };
        messages.extend(frames.messages().map(|message| format!("{message:?}")));
        control.extend(frames.control.iter().map(|said| format!("{said:?}")));
    }
    (messages, control, framer.feed(b"").err().map(|error| error.to_string()))
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, bytes)) = data.split_first() else { return };
    assert_eq!(read(bytes.chunks(usize::from(size).max(1))), read(std::iter::once(bytes)));
});
