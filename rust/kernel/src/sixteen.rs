//! Sixteen bytes at a time.
#![expect(clippy::inline_always, reason = "a call a value is a tenth of the cost of a message")]

use wide::u8x16;

/// 16 bytes of a text; zeros, which are in no JSON, stand for those beyond its end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sixteen(u8x16);

impl From<[u8; 16]> for Sixteen {
    #[inline(always)]
    fn from(bytes: [u8; 16]) -> Self {
        Self(u8x16::new(bytes))
    }
}

/// The 16 bytes from `at` on; of a text shorter than that, which is no tick, none.
#[inline(always)]
pub(crate) fn load(bytes: &[u8], at: u32) -> Sixteen {
    // In 64 bits, so that one comparison tells whether all of them are there.
    let at = at as usize;
    match bytes.get(at..at + 16).and_then(|text| text.first_chunk()) {
        Some(text) => Sixteen::from(*text),
        None => tail(bytes, at),
    }
}

#[inline(always)]
fn tail(bytes: &[u8], at: usize) -> Sixteen {
    let left = bytes.len().saturating_sub(at) as u32;
    match bytes.last_chunk() {
        Some(last) if left > 0 => (u128::from_le_bytes(*last).wrapping_shr(128 - 8 * left)).to_le_bytes().into(),
        _ => Sixteen::default(),
    }
}

/// The first 16 bytes, of a text of any length.
pub(crate) fn padded(text: &[u8]) -> Sixteen {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(text) {
        *to = *from;
    }
    bytes.into()
}

impl Sixteen {
    /// A bit for each byte that is the same in both.
    #[inline(always)]
    pub(crate) fn same(self, other: Self) -> u32 {
        bits(self.0.cmp_eq(other.0))
    }

    /// A bit for each byte that is `byte`.
    #[inline(always)]
    pub(crate) fn marks(self, byte: u8) -> u32 {
        bits(self.0.cmp_eq(u8x16::splat(byte)))
    }

    /// A bit for each byte that is ASCII, not below `floor`, and neither backslash nor DEL.
    #[inline(always)]
    pub(crate) fn plain(self, floor: u8) -> u32 {
        let lanes = self.0;
        let clipped = lanes.max(u8x16::splat(floor)).min(u8x16::splat(0x7e));
        bits(lanes.cmp_eq(clipped)) & !self.marks(b'\\')
    }

    /// How many digits, points and slashes come first.
    #[inline(always)]
    pub(crate) fn number_len(self) -> u32 {
        let lanes = self.0;
        let clipped = lanes.max(u8x16::splat(b'.')).min(u8x16::splat(b'9'));
        (!bits(lanes.cmp_eq(clipped))).trailing_zeros()
    }

    /// The first 8 bytes, the first lowest.
    #[inline(always)]
    pub(crate) fn word(self) -> u64 {
        self.wide() as u64
    }

    /// All of them, the first lowest.
    #[inline(always)]
    pub(crate) fn wide(self) -> u128 {
        u128::from_le_bytes(self.0.to_array())
    }

    /// Those up to the `last`, at most 15, the first lowest.
    #[inline(always)]
    pub(crate) fn through(self, last: u32) -> u128 {
        self.wide() & THROUGH[last as usize & 15]
    }
}

#[inline(always)]
fn bits(lanes: u8x16) -> u32 {
    lanes.move_mask() as u32
}

/// The lowest bytes up to this one.
static THROUGH: [u128; 16] = {
    let mut masks = [0; 16];
    let mut last = 0;
    while last < 16 {
        masks[last] = u128::MAX >> (120 - 8 * last);
        last += 1;
    }
    masks
};
