//! A state that is carried from bar to bar and can go back to the oldest bar that may still be revised.

use std::ops::BitXor;

use super::live::Kernels;
use crate::window::{View, Window, WindowBar};

/// Bars that a session's state begins with: the last ones before its open, as a warm start reads them.
///
/// A state that went on from session to session would depend on where it once began, and no restart could know. Begun
/// anew at each open with bars that a restart reads too, a long run and a restart agree bit for bit. After 200 bars what
/// was before weighs less than 1e-6 in the slowest average, that of span 26 or Wilder's of 14.
pub const BASE_BARS: usize = 200;

/// What is carried from bar to bar.
pub trait Carried: Clone + Copy + Default {
    /// Take in a bar, the newest of `view`; O(1).
    fn push(&mut self, bar: &WindowBar, view: View<'_>, kernels: &Kernels);

    /// Reads a word of each of its cache lines.
    fn touch(&self) -> u64;

    /// A session opens: forget what does not reach back before it.
    fn open(&mut self) {}
}

/// A state in a session.
#[derive(Clone, Copy, Debug, Default)]
struct At<S> {
    session: Option<i64>,
    state: S,
}

impl<S: Carried> At<S> {
    /// The state at a session's open, `view` being the bars before it. O(200).
    fn opened(session: Option<i64>, view: View<'_>, kernels: &Kernels) -> Self {
        let mut state = S::default();
        for back in (0..view.len().min(BASE_BARS)).rev() {
            let view = view.before(back);
            if let Some(bar) = view.bar(0) {
                state.push(&bar, view, kernels);
            }
        }
        state.open();
        Self { session, state }
    }
}

/// A state at two places: after the newest bar, and before the oldest one that may be revised.
///
/// `enter` comes before a bar goes into the window, `push` after; both again, in order, for each bar after a `rewind`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trail<S> {
    now: At<S>,
    base: At<S>,
    /// As the newest session opened, or as the next one will if no bar comes before it: made when its first bar opens,
    /// and taken over by `base`, since 200 bars for each of thousands of symbols are too much for one minute's close.
    opened: At<S>,
}

impl<S: Carried> Trail<S> {
    /// The state after the newest bar.
    #[must_use]
    pub fn now(&self) -> &S {
        &self.now.state
    }

    /// Reads a word of each of its cache lines; see `History::touch`.
    #[inline]
    #[must_use]
    pub fn touch(&self) -> u64 {
        [&self.now, &self.base]
            .map(|at| at.state.touch() ^ at.session.map_or(0, |us| us as u64))
            .into_iter()
            .fold(0, BitXor::bitxor)
    }

    /// The next bar belongs to `session`; where that is another one, the state begins anew.
    #[inline]
    pub fn enter(&mut self, session: Option<i64>, window: &Window, kernels: &Kernels) {
        if self.now.session != session {
            self.foresee(session, window, kernels);
            self.now = self.opened;
        }
    }

    /// The next bar will belong to `session`, as it looks: does what `enter` would have to do, while there is time.
    #[inline]
    pub fn foresee(&mut self, session: Option<i64>, window: &Window, kernels: &Kernels) {
        if self.now.session != session && self.opened.session != session {
            self.opened = At::opened(session, window.view(), kernels);
        }
    }

    /// Takes in the window's newest bar.
    #[inline]
    pub fn push(&mut self, bar: &WindowBar, window: &Window, kernels: &Kernels) {
        self.now.state.push(bar, window.view(), kernels);
        if self.opened.session != self.now.session {
            // foreseen before this bar came, or before it was revised
            self.opened.session = None;
        }
    }

    /// The oldest revisable bar, now `view`'s newest, can no longer be revised.
    #[inline]
    pub fn settle(&mut self, bar: &WindowBar, session: Option<i64>, view: View<'_>, kernels: &Kernels) {
        if self.base.session != session {
            self.base =
                if self.opened.session == session { self.opened } else { At::opened(session, view.before(1), kernels) };
        }
        self.base.state.push(bar, view, kernels);
    }

    /// Goes back to before the oldest revisable bar.
    pub fn rewind(&mut self) {
        self.now = self.base;
    }
}
