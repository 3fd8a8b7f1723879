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

/// The first 16 bytes of a text that has as many.
#[inline(always)]
pub(crate) fn head(bytes: &[u8]) -> Sixteen {
    bytes.first_chunk().copied().map_or_else(Sixteen::default, Sixteen::from)
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
    /// Zero in each byte that is the same in both.
    #[inline(always)]
    pub(crate) fn differing(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }

    /// All bits that are in either.
    #[inline(always)]
    pub(crate) fn joined(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The bits that are in both.
    #[inline(always)]
    pub(crate) fn masked(self, mask: Self) -> Self {
        Self(self.0 & mask.0)
    }

    /// Whether any bit is set.
    #[inline(always)]
    pub(crate) fn any(self) -> bool {
        self.same(Self::default()) != 0xffff
    }

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
        let backslash = lanes.cmp_eq(u8x16::splat(b'\\'));
        bits(lanes.cmp_eq(clipped) & (backslash ^ u8x16::splat(0xff)))
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

    /// Those up to the `last`, at most 15, then zeros.
    #[inline(always)]
    pub(crate) fn through(self, last: u32) -> Self {
        self.masked(THROUGH[last as usize & 15])
    }
}

#[inline(always)]
fn bits(lanes: u8x16) -> u32 {
    lanes.move_mask() as u32
}

/// The lowest bytes up to this one.
static THROUGH: [Sixteen; 16] = {
    let mut masks = [Sixteen(u8x16::new([0; 16])); 16];
    let mut last = 0;
    while last < 16 {
        masks[last] = Sixteen(u8x16::new((u128::MAX >> (120 - 8 * last)).to_le_bytes()));
        last += 1;
    }
    masks
};
