//! Where texts end that are taken as they stand, and values that nobody reads.
#![expect(clippy::inline_always, reason = "a call a value is a tenth of the cost of a message")]

use crate::course::LOST;
use crate::json::Scanner;
use crate::sixteen::Sixteen;

/// Where a value ends that nobody reads.
#[inline(always)]
pub(crate) fn ignored(bytes: &[u8], from: u32, depth: usize) -> u32 {
    if bytes.get(from as usize..).is_some_and(|rest| rest.starts_with(b"null")) {
        return from.wrapping_add(4);
    }
    skip(bytes, from, depth).unwrap_or(LOST)
}

#[inline(never)]
fn skip(bytes: &[u8], from: u32, depth: usize) -> Option<u32> {
    let mut scanner = Scanner { bytes, at: from as usize };
    scanner.skip(depth).ok()?;
    bytes.get(from as usize..scanner.at)?.is_ascii().then_some(scanner.at as u32)
}

/// Where the text at `from` has its closing quote; `None` if a byte of it is a backslash, DEL, not ASCII or below `floor`.
#[inline(always)]
pub(crate) fn text_end(text: Sixteen, bytes: &[u8], from: u32, floor: u8) -> Option<u32> {
    let quotes = text.marks(b'"');
    let closing = quotes & quotes.wrapping_sub(1);
    let inside = closing.wrapping_sub(1) & !closing;
    if quotes & 1 == 0 || closing == 0 {
        return long_text_end(bytes, from, floor);
    }
    (text.plain(floor) & inside == inside).then_some(from.wrapping_add(closing.trailing_zeros()))
}

#[inline(never)]
fn long_text_end(bytes: &[u8], from: u32, floor: u8) -> Option<u32> {
    let inner = bytes.get(from as usize..)?.strip_prefix(b"\"")?;
    let is_plain = |&byte: &u8| byte >= floor && byte < 0x7f && byte != b'\\' && byte != b'"';
    let len = inner.iter().position(|byte| !is_plain(byte))?;
    (inner[len] == b'"').then_some(from + 1 + len as u32)
}
