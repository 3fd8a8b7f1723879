//! RESP2 publish/subscribe frames out of raw socket bytes: no socket here, only bytes in and messages out.
//!
//! Source: Redis serialization protocol specification, version 2; Redis Pub/Sub, "Wire protocol".

use std::mem;

use crate::reply::{Cursor, MAX_ELEMENTS, Part, Stop};

pub use crate::reply::RespError;

/// What is no message of a subscribed channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// `subscribe`: the channel is heard from here on.
    Subscribed {
        /// Its name.
        channel: Vec<u8>,
        /// Channels now subscribed.
        count: i64,
    },
    /// `unsubscribe`.
    Unsubscribed {
        /// Its name; empty if there was none.
        channel: Vec<u8>,
        /// Channels now subscribed.
        count: i64,
    },
    /// The answer to a PING, in either form, with its text.
    Pong(Vec<u8>),
    /// An error reply, without its `-`.
    Error(Vec<u8>),
    /// A message of a channel that is not ours, also by a pattern: the channel.
    Foreign(Vec<u8>),
    /// Any other reply.
    Other,
}

/// Where a message lies: its channel's index, and its payload within the bytes.
#[derive(Clone, Copy, Debug)]
struct Span {
    channel: u16,
    start: usize,
    end: usize,
}

/// Messages of one read, still raw: the bytes are held once.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// Where the last complete frame ends.
    end: usize,
    spans: Vec<Span>,
    /// Everything else that was said, in order.
    pub control: Vec<Control>,
}

impl Frames {
    /// Every message in order: the channel's index and the payload.
    pub fn messages(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.spans
            .iter()
            .map(|span| (usize::from(span.channel), self.bytes.get(span.start..span.end).unwrap_or_default()))
    }

    /// The complete frames as they came: a new framer makes the same of them.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        self.bytes.get(..self.end).unwrap_or_default()
    }

    /// Messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// No messages; there may be control.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Sum of the payloads, in bytes.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        self.spans.iter().map(|span| span.end - span.start).sum()
    }
}

/// Cuts the bytes of one connection into frames; they may be split anywhere.
#[derive(Clone, Debug)]
pub struct Framer {
    channels: Vec<Vec<u8>>,
    /// Per channel, the constant start of its messages up to the payload's length.
    headers: Vec<Vec<u8>>,
    /// The channel of the last message: the first guess for the next.
    last: u16,
    /// An incomplete frame, and how long it must at least become before it is worth looking at again.
    pending: Vec<u8>,
    wanted: usize,
    broken: Option<RespError>,
}

impl Framer {
    /// channels: the subscribed names, of which messages carry the index; at most 65,536.
    #[must_use]
    pub fn new(channels: Vec<Vec<u8>>) -> Self {
        let header = |channel: &Vec<u8>| {
            let length = format!("*3\r\n$7\r\nmessage\r\n${}\r\n", channel.len());
            [length.as_bytes(), channel, b"\r\n$"].concat()
        };
        let headers = channels.iter().map(header).collect();
        Self { channels, headers, last: 0, pending: Vec::new(), wanted: 0, broken: None }
    }

    /// Bytes of an incomplete frame.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The complete frames in what was left and `chunk`; the rest waits. `chunk` is copied once.
    ///
    /// # Errors
    /// [`RespError`] if the bytes are not RESP2. Frames before the fault are given first; the error then comes with the
    /// next call, and with every one after it.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<Frames, RespError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        self.pending.extend_from_slice(chunk);
        if self.pending.len() < self.wanted {
            return Ok(Frames::default());
        }
        let mut frames = Frames { bytes: mem::take(&mut self.pending), ..Frames::default() };
        self.wanted = 0;
        let mut at = 0;
        while at < frames.bytes.len() {
            match self.frame(&mut frames, at) {
                Ok(end) => at = end,
                Err(Stop::Short(wanted)) => {
                    self.wanted = wanted;
                    self.pending = frames.bytes.get(at..).unwrap_or_default().to_vec();
                    break;
                }
                Err(Stop::Broken(error)) => {
                    self.broken = Some(error);
                    if at == 0 {
                        return Err(error);
                    }
                    break;
                }
            }
        }
        frames.end = at;
        Ok(frames)
    }

    /// One frame from `start` on; where it ends.
    #[inline]
    fn frame(&mut self, frames: &mut Frames, start: usize) -> Result<usize, Stop> {
        if let Some(header) = self.headers.get(usize::from(self.last)) {
            let rest = frames.bytes.get(start..).unwrap_or_default();
            if rest.starts_with(header) {
                let reply = Cursor { bytes: &frames.bytes, start, at: start + header.len() };
                if let Some((from, end, next)) = reply.bulk()? {
                    frames.spans.push(Span { channel: self.last, start: from, end });
                    return Ok(next);
                }
            }
        }
        self.any_frame(frames, start)
    }

    fn any_frame(&mut self, frames: &mut Frames, start: usize) -> Result<usize, Stop> {
        let mut cursor = Cursor { bytes: &frames.bytes, start, at: start };
        let mut parts = [Part::Null; MAX_ELEMENTS];
        let count = cursor.reply(&mut parts)?;
        let end = cursor.at;
        let control = match parts.get(..count).unwrap_or_default() {
            [Part::Error(text)] => Control::Error(text.to_vec()),
            [Part::Simple(b"PONG")] => Control::Pong(Vec::new()),
            [Part::Bulk(b"pong", _), Part::Bulk(text, _)] => Control::Pong(text.to_vec()),
            [Part::Bulk(b"pmessage", _), Part::Bulk(..), Part::Bulk(channel, _), Part::Bulk(..)] => {
                Control::Foreign(channel.to_vec())
            }
            [Part::Bulk(b"message", _), Part::Bulk(channel, _), Part::Bulk(payload, from)] => {
                match self.channels.iter().position(|known| known == channel).map(u16::try_from) {
                    Some(Ok(index)) => {
                        let span = Span { channel: index, start: *from, end: from + payload.len() };
                        self.last = index;
                        frames.spans.push(span);
                        return Ok(end);
                    }
                    _ => Control::Foreign(channel.to_vec()),
                }
            }
            [Part::Bulk(b"subscribe", _), Part::Bulk(channel, _), Part::Integer(count)] => {
                Control::Subscribed { channel: channel.to_vec(), count: *count }
            }
            [Part::Bulk(b"unsubscribe", _), Part::Bulk(channel, _), Part::Integer(count)] => {
                Control::Unsubscribed { channel: channel.to_vec(), count: *count }
            }
            [Part::Bulk(b"unsubscribe", _), Part::Null, Part::Integer(count)] => {
                Control::Unsubscribed { channel: Vec::new(), count: *count }
            }
            _ => Control::Other,
        };
        frames.control.push(control);
        Ok(end)
    }
}
