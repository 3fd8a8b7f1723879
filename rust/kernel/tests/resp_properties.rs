//! Any split of a connection's bytes gives the same messages.
#![allow(missing_docs, reason = "a test has no readers of its docs")]

use proptest::prelude::*;
use tickstockpl_kernel::resp::{Control, Framer, RespError};

type Said = (Vec<(usize, Vec<u8>)>, Vec<Control>, Option<RespError>, usize);

fn framer() -> Framer {
    Framer::new(vec![b"data.raw".to_vec(), b"tickstock.data.raw".to_vec()])
}

/// Everything that comes out of the chunks, until the framer refuses.
fn feed<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Said {
    let mut framer = framer();
    let (mut messages, mut control, mut error) = (Vec::new(), Vec::new(), None);
    for chunk in chunks {
        match framer.feed(chunk) {
            Ok(frames) => {
                assert_eq!(frames.payload_bytes(), frames.messages().map(|(_, payload)| payload.len()).sum::<usize>());
                messages.extend(frames.messages().map(|(channel, payload)| (channel, payload.to_vec())));
                control.extend(frames.control);
            }
            Err(refused) => error = error.or(Some(refused)),
        }
    }
    let error = error.or(framer.feed(b"").err());
    let pending = if error.is_some() { 0 } else { framer.pending() };
    (messages, control, error, pending)
}

fn bulks(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", parts.len()).into_bytes();
    for part in parts {
        bytes.extend(format!("${}\r\n", part.len()).bytes());
        bytes.extend_from_slice(part);
        bytes.extend(b"\r\n");
    }
    bytes
}

fn everything() -> Vec<u8> {
    [
        &b"*3\r\n$9\r\nsubscribe\r\n$8\r\ndata.raw\r\n:1\r\n"[..],
        b"*3\r\n$9\r\nsubscribe\r\n$18\r\ntickstock.data.raw\r\n:2\r\n",
        &bulks(&[b"message", b"data.raw", b"{\"a\": 1}\r\n"]),
        b"+PONG\r\n*2\r\n$4\r\npong\r\n$0\r\n\r\n*2\r\n$4\r\npong\r\n$2\r\n42\r\n",
        &bulks(&[b"message", b"tickstock.data.raw", b""]),
        &bulks(&[b"message", b"elsewhere", b"x"]),
        &bulks(&[b"pmessage", b"data.*", b"data.more", b"y"]),
        b"-ERR unknown command\r\n:7\r\n+OK\r\n$-1\r\n*-1\r\n*0\r\n$3\r\nfoo\r\n",
        &bulks(&[b"message", b"data.raw", &[b'z'; 300]]),
        b"*3\r\n$11\r\nunsubscribe\r\n$8\r\ndata.raw\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n",
    ]
    .concat()
}

#[test]
fn every_reply_of_a_subscribed_connection_is_told_apart() {
    let (messages, control, error, pending) = feed([&everything()[..]]);
    let payloads = [(0, b"{\"a\": 1}\r\n".to_vec()), (1, Vec::new()), (0, vec![b'z'; 300])];
    assert_eq!(messages, payloads);
    let said = [
        Control::Subscribed { channel: b"data.raw".to_vec(), count: 1 },
        Control::Subscribed { channel: b"tickstock.data.raw".to_vec(), count: 2 },
        Control::Pong(Vec::new()),
        Control::Pong(Vec::new()),
        Control::Pong(b"42".to_vec()),
        Control::Foreign(b"elsewhere".to_vec()),
        Control::Foreign(b"data.more".to_vec()),
        Control::Error(b"ERR unknown command".to_vec()),
        Control::Other,
        Control::Other,
        Control::Other,
        Control::Other,
        Control::Other,
        Control::Other,
        Control::Unsubscribed { channel: b"data.raw".to_vec(), count: 1 },
        Control::Unsubscribed { channel: Vec::new(), count: 0 },
    ];
    assert_eq!(control, said);
    assert_eq!((error, pending), (None, 0));
}

#[test]
fn a_split_at_any_byte_changes_nothing() {
    let bytes = everything();
    let whole = feed([&bytes[..]]);
    for at in 0..=bytes.len() {
        let (first, second) = bytes.split_at(at);
        assert_eq!(feed([first, second]), whole, "split at {at}");
    }
    assert_eq!(feed(bytes.chunks(1)), whole);
}

#[test]
fn an_incomplete_frame_waits_and_is_counted_as_pending() {
    let bytes = bulks(&[b"message", b"data.raw", b"payload"]);
    for at in 0..bytes.len() {
        let mut framer = framer();
        assert!(framer.feed(&bytes[..at]).is_ok_and(|frames| frames.is_empty()));
        assert_eq!(framer.pending(), at);
    }
}

#[test]
fn bytes_that_are_not_resp2_are_refused() {
    let deep = b"*1\r\n*1\r\n:1\r\n";
    let cases: [(&[u8], RespError); 12] = [
        (b"HTTP/1.1 200 OK\r\n", RespError::Type(b'H')),
        (b"%1\r\n", RespError::Type(b'%')),
        (b"$x\r\n", RespError::Number),
        (b"$-2\r\n", RespError::Number),
        (b":\r\n", RespError::Number),
        (b":1234567890123456789\r\n", RespError::Number),
        (b":9999999999999999999\r\n", RespError::Number),
        (b"$99999999999999999999\r\n", RespError::Number),
        (b"$3\r\nabcd\r\n", RespError::Terminator(3)),
        (b"$536870913\r\n", RespError::TooLong { size: 536_870_913, most: 536_870_912 }),
        (b"*17\r\n", RespError::TooLong { size: 17, most: 16 }),
        (deep, RespError::Nested),
    ];
    for (bytes, error) in cases {
        assert_eq!(feed([bytes]).2, Some(error));
        assert_eq!(feed(bytes.chunks(1)).2, Some(error));
    }
}

#[test]
fn a_bulk_string_is_judged_by_both_bytes_after_it_wherever_a_read_ends() {
    let bytes = b"*3\r\n$7\r\nmeraw\r\n$";
    let whole = feed([&bytes[..]]);
    assert_eq!((whole.2, whole.3), (None, bytes.len()));
    assert_eq!(feed(bytes.chunks(1)), whole);
    let ended = [&bytes[..], b"1"].concat();
    assert_eq!(feed([&ended[..]]).2, Some(RespError::Terminator(7)));
    assert_eq!(feed(ended.chunks(1)).2, Some(RespError::Terminator(7)));
}

#[test]
fn a_line_without_end_is_refused_at_its_bound() {
    let mut framer = framer();
    let chunk = [b'x'; 4096];
    assert!(framer.feed(b"+").is_ok());
    let fed = (0..20).find_map(|turn| framer.feed(&chunk).err().map(|error| (turn, error)));
    assert_eq!(fed, Some((16, RespError::TooLong { size: 65_537, most: 65_536 })));
}

#[test]
fn messages_before_a_fault_are_given_and_nothing_after_it() {
    let good = bulks(&[b"message", b"data.raw", b"1"]);
    let bytes = [&good[..], b"?", &good].concat();
    let mut framer = framer();
    assert_eq!(framer.feed(&bytes).map(|frames| frames.len()), Ok(1));
    assert_eq!(framer.feed(&good).map(|frames| frames.len()), Err(RespError::Type(b'?')));
    assert_eq!(framer.feed(b"").map(|frames| frames.len()), Err(RespError::Type(b'?')));
}

fn reply() -> impl Strategy<Value = Vec<u8>> {
    let payload = proptest::collection::vec(any::<u8>(), 0..400);
    let channel = prop_oneof![Just("data.raw"), Just("tickstock.data.raw"), Just("other")];
    prop_oneof![
        6 => (channel, payload).prop_map(|(channel, payload)| bulks(&[b"message", channel.as_bytes(), &payload])),
        1 => Just(b"+PONG\r\n".to_vec()),
        1 => "[ -~]{0,20}".prop_map(|text| format!("-{text}\r\n").into_bytes()),
        1 => any::<i32>().prop_map(|count| format!("*3\r\n$9\r\nsubscribe\r\n$8\r\ndata.raw\r\n:{count}\r\n").into_bytes()),
    ]
}

/// The bytes cut at the given places.
fn cut<'a>(bytes: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect()
}

proptest! {
    #[test]
    fn any_split_of_good_replies_gives_the_same(
        replies in proptest::collection::vec(reply(), 0..12),
        places in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let bytes = replies.concat();
        let whole = feed([&bytes[..]]);
        prop_assert_eq!((whole.2, whole.3), (None, 0));
        prop_assert_eq!(whole.0.len() + whole.1.len(), replies.len());
        prop_assert_eq!(feed(cut(&bytes, &places)), whole);
    }

    #[test]
    fn any_split_of_damaged_replies_gives_the_same(
        replies in proptest::collection::vec(reply(), 1..6),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
        places in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut bytes = replies.concat();
        for (place, byte) in damage {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        prop_assert_eq!(feed(cut(&bytes, &places)), feed([&bytes[..]]));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(&b"*$:+-\r\n0123"[..])], 0..200)) {
        prop_assert_eq!(feed(bytes.chunks(3)), feed([&bytes[..]]));
    }
}
