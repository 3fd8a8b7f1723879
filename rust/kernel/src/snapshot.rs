//! All state of an engine as bytes, to be gone on from elsewhere or later, bit for bit.
//!
//! `TPES`, the version (u32, little-endian), the digest of the settings, the state as postcard writes it, the SHA-1 of all
//! of that. What is not in it is found again: decoders learn their producer's key order anew, and open minutes say when
//! they are due.
//!
//! The checksum tells of damage; what it covers is looked at all the same, so that no bytes make an engine panic: ids
//! are of symbols that are there, times and counts leave room to count on, and a window can go back as far as it must.

use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};

use crate::aggregate::{Aggregator, Settled};
use crate::begun::Begun;
use crate::channel::Channel;
use crate::counters::{Counters, Skew};
use crate::error::KernelError;
use crate::orphans::Orphans;
use crate::owner::Heard;
use crate::pattern::PATTERNS;
use crate::roster::Roster;
use crate::settings::Settings;
use crate::sweep::Known;

const MAGIC: [u8; 4] = *b"TPES";

/// What a test's engine comes to, hashed: whatever is kept otherwise than before changes it, and the test says to what.
const VERSION: u32 = 1_188_902_777;

const HASH: usize = 20;
const HEAD: usize = MAGIC.len() + size_of::<u32>() + HASH;

/// A count to which as much can be added again.
pub(crate) const FEW: i64 = i64::MAX / 2;

/// The SHA-1 of settings.
pub(crate) type Digest = [u8; HASH];

/// What of a restored state is wrong, if anything is.
pub(crate) type Sound = Result<(), &'static str>;

/// That something is right.
pub(crate) fn holds(right: bool, what: &'static str) -> Sound {
    if right { Ok(()) } else { Err(what) }
}

/// Whether a stamp can be counted on from without an overflow: 36,000 years before or after 1970.
pub(crate) fn is_near(us: i64) -> bool {
    us.unsigned_abs() <= 1 << 60
}

/// What an engine knows beside its aggregator.
#[derive(Serialize, Deserialize)]
pub(crate) struct Moment<C, S> {
    pub(crate) counters: C,
    pub(crate) skew: S,
    pub(crate) now_us: i64,
    pub(crate) next_src: i64,
}

/// All state. In the order of [`State`].
#[derive(Serialize)]
struct Written<'a> {
    roster: &'a Roster,
    channels: &'a [Channel],
    heard: &'a Heard,
    orphans: &'a Orphans,
    begun: &'a Begun,
    settled: &'a Settled,
    longer: Known,
    now: Moment<&'a Counters, &'a Skew>,
}

/// All state.
#[derive(Deserialize)]
struct State {
    roster: Roster,
    channels: Vec<Channel>,
    heard: Heard,
    orphans: Orphans,
    begun: Begun,
    settled: Settled,
    longer: Known,
    now: Moment<Counters, Skew>,
}

/// What shaped an engine, the price scale apart, which may be set later.
pub(crate) fn digest(settings: &Settings) -> Digest {
    let Settings {
        channels,
        lateness,
        revise_us,
        window_bars,
        symbols,
        price_scale: _,
        patterns,
        rules,
        seq_counts,
        volume_checked,
        calendar,
        timeframes,
        align,
        watch,
        rsi_bounds,
        benchmark,
    } = settings;
    let watch = watch.as_ref().map(|watch| {
        let mut symbols: Vec<&[u8]> = watch.symbols.iter().map(AsRef::as_ref).collect();
        symbols.sort_unstable();
        (watch.all, symbols)
    });
    // Patterns are kept by their place in the list of all, and what holds was found by their definitions.
    let known = PATTERNS.map(|pattern| (pattern.id(), pattern.parameters()));
    let limits = (channels, lateness.a_us, lateness.t_us, revise_us, window_bars, symbols);
    let sessions = (&calendar.window, &calendar.simulated, &calendar.regular, timeframes, *align as u8);
    let shown = (watch, rsi_bounds, benchmark);
    let checked = (seq_counts, volume_checked);
    let bytes = postcard::to_allocvec(&(limits, &known[..], patterns, rules, sessions, shown, checked));
    hash(&bytes.expect("a vector takes every byte, and these have a length"))
}

/// The state of an engine.
pub(crate) fn write(settings: &Digest, from: &Aggregator, now: Moment<&Counters, &Skew>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + from.symbols().len() * 32_768);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(scaled(settings, from.rules().price_scale));
    let state = Written {
        roster: &from.roster,
        channels: from.channels(),
        heard: &from.heard,
        orphans: &from.orphans,
        begun: &from.begun,
        settled: &from.settled,
        longer: from.known(),
        now,
    };
    let written = postcard::to_extend(&state, bytes);
    let mut bytes = written.expect("a vector takes every byte, and all of a state has a length");
    let hash = hash(&bytes);
    bytes.extend(hash);
    bytes
}

/// Gives an aggregator of these settings the state, and says what else there is.
///
/// # Errors
/// [`KernelError::Snapshot`]; the aggregator is then as it was.
pub(crate) fn read(
    bytes: &[u8],
    settings: &Digest,
    to: &mut Aggregator,
) -> Result<Moment<Counters, Skew>, KernelError> {
    let fault = |what: String| KernelError::Snapshot(what.into());
    let (told, written) = bytes.split_last_chunk::<HASH>().ok_or_else(|| fault("is too short".into()))?;
    let (head, state) = told.split_first_chunk::<HEAD>().ok_or_else(|| fault("is too short".into()))?;
    let (magic, head) = head.split_at(MAGIC.len());
    let (version, made_under) = head.split_at(size_of::<u32>());
    if *magic != MAGIC {
        return Err(fault("is not of an engine".into()));
    }
    if *version != VERSION.to_le_bytes() {
        let version = version.iter().rev().fold(0, |sum: u32, byte| sum << 8 | u32::from(*byte));
        return Err(fault(format!("is of version {version}, not {VERSION}")));
    }
    if hash(told) != *written {
        return Err(fault("is damaged: its checksum differs".into()));
    }
    if *made_under != scaled(settings, to.rules().price_scale) {
        return Err(fault("is of other settings".into()));
    }
    let damaged = |what: &str| fault(format!("is damaged: {what}"));
    let (mut state, rest) = postcard::take_from_bytes::<State>(state).map_err(|error| damaged(&error.to_string()))?;
    if !rest.is_empty() {
        return Err(damaged("there is more behind it"));
    }
    fit(&mut state, to).map_err(|what| damaged(&format!("{what} cannot be as they are told")))?;
    (to.roster, to.channels, to.heard) = (state.roster, state.channels, state.heard);
    (to.orphans, to.begun, to.settled) = (state.orphans, state.begun, state.settled);
    to.set_known(state.longer);
    to.find_benchmark();
    Ok(state.now)
}

/// Makes a state whole that was read, unless it cannot be one of such an aggregator.
fn fit(state: &mut State, of: &Aggregator) -> Sound {
    state.roster.fit(of.limits.symbols, &of.rules)?;
    let ids = state.roster.names().given();
    holds(state.channels.len() == of.channels.len(), "channels")?;
    for channel in &mut state.channels {
        channel.fit(ids, of.limits.lateness)?;
    }
    holds(state.heard.is_sound(of.channels.len(), ids) && state.longer.is_sound(), "stamps")?;
    holds(state.orphans.is_sound(ids) && state.begun.is_sound(), "minutes")?;
    let Moment { counters, skew, next_src, .. } = &state.now;
    holds(counters.is_sound() && skew.is_sound() && *next_src <= FEW, "counters")
}

/// The digest of settings with the price scale in it.
fn scaled(settings: &Digest, scale: Option<u32>) -> Digest {
    let mut bytes = settings.to_vec();
    bytes.push(scale.map_or(u8::MAX, |scale| scale as u8));
    hash(&bytes)
}

fn hash(bytes: &[u8]) -> Digest {
    Sha1::digest(bytes).into()
}
