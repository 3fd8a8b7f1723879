//! A state that is carried from bar to bar and can go back to the oldest bar that may still be revised.

use std::ops::BitXor;

use serde::{Deserialize, Serialize};

use crate::window::{View, Window, WindowBar};

/// What is carried from bar to bar.
///
/// A state that went on from session to session would depend on where it once began, and no restart could know. Begun
/// anew at each open with bars that a restart reads too, a long run and a restart agree bit for bit.
pub(crate) trait Carried: Clone + Copy + Default {
    /// What the states of all symbols have in common: periods and the like.
    type Shared;

    /// Bars that a session's state begins with: the last ones before its open.
    const BEFORE: usize;

    /// Take in a bar, the newest of `view`; O(1).
    fn push(&mut self, bar: &WindowBar, view: View<'_>, shared: &Self::Shared);

    /// As `push`, for a bar of which nothing will be asked: what is shown of it may be left out.
    fn pass(&mut self, bar: &WindowBar, view: View<'_>, shared: &Self::Shared) {
        self.push(bar, view, shared);
    }

    /// Reads a word of each of its cache lines.
    fn touch(&self) -> u64;

    /// A session opens: forget what does not reach back before it.
    fn open(&mut self) {}
}

/// A state in a session.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct At<S> {
    session: Option<i64>,
    state: S,
}

impl<S: Carried> At<S> {
    /// The state at a session's open, `view` being the bars before it. O([`Carried::BEFORE`]).
    fn opened(session: Option<i64>, view: View<'_>, shared: &S::Shared) -> Self {
        let mut state = S::default();
        for back in (0..view.len().min(S::BEFORE)).rev() {
            let view = view.before(back);
            if let Some(bar) = view.bar(0) {
                state.pass(&bar, view, shared);
            }
        }
        state.open();
        Self { session, state }
    }
}

/// A state at two places: after the newest bar, and before the oldest one that may be revised.
///
/// `enter` comes before a bar goes into the window, `push` after; both again, in order, for each bar after a `rewind`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Trail<S> {
    now: At<S>,
    base: At<S>,
    /// As the newest session opened, or as the next one will if no bar comes before it: made when its first bar opens,
    /// and taken over by `base`, since so many bars for each of thousands of symbols are too much for one minute's close.
    opened: At<S>,
}

impl<S: Carried> Trail<S> {
    /// The state after the newest bar.
    #[must_use]
    pub(crate) fn now(&self) -> &S {
        &self.now.state
    }

    /// Reads a word of each of its cache lines; see `History::touch`.
    #[inline]
    #[must_use]
    pub(crate) fn touch(&self) -> u64 {
        let session = |at: &At<S>| at.session.map_or(0, |us| us as u64);
        let states = [&self.now, &self.base].map(|at| at.state.touch() ^ session(at));
        states.into_iter().fold(session(&self.opened), BitXor::bitxor)
    }

    /// The next bar belongs to `session`; where that is another one, the state begins anew.
    #[inline]
    pub(crate) fn enter(&mut self, session: Option<i64>, window: &Window, shared: &S::Shared) {
        if self.now.session != session {
            self.foresee(session, window, shared);
            self.now = self.opened;
        }
    }

    /// The next bar will belong to `session`, as it looks: does what `enter` would have to do, while there is time.
    #[inline]
    pub(crate) fn foresee(&mut self, session: Option<i64>, window: &Window, shared: &S::Shared) {
        if self.now.session != session && self.opened.session != session {
            self.opened = At::opened(session, window.view(), shared);
        }
    }

    /// Takes in the window's newest bar.
    #[inline]
    pub(crate) fn push(&mut self, bar: &WindowBar, window: &Window, shared: &S::Shared) {
        self.now.state.push(bar, window.view(), shared);
        if self.opened.session != self.now.session {
            // foreseen before this bar came, or before it was revised
            self.opened.session = None;
        }
    }

    /// The oldest revisable bar, now `view`'s newest, can no longer be revised.
    #[inline]
    pub(crate) fn settle(&mut self, bar: &WindowBar, session: Option<i64>, view: View<'_>, shared: &S::Shared) {
        if self.base.session != session {
            self.base =
                if self.opened.session == session { self.opened } else { At::opened(session, view.before(1), shared) };
        }
        self.base.state.pass(bar, view, shared);
    }

    /// Goes back to before the oldest revisable bar.
    pub(crate) fn rewind(&mut self) {
        self.now = self.base;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Remembers its bars' stamps as a number, and counts how often any state took in a bar.
    #[derive(Clone, Copy, Default)]
    struct Stamps(i64);

    impl Carried for Stamps {
        type Shared = Cell<usize>;
        const BEFORE: usize = 3;

        fn push(&mut self, bar: &WindowBar, _: View<'_>, pushes: &Cell<usize>) {
            self.0 = self.0 * 10 + bar.ts_us;
            pushes.set(pushes.get() + 1);
        }

        fn touch(&self) -> u64 {
            0
        }
    }

    fn bar(ts_us: i64) -> WindowBar {
        WindowBar { ts_us, open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: 0, quality: 0 }
    }

    fn take(trail: &mut Trail<Stamps>, window: &mut Window, session: i64, ts_us: i64, pushes: &Cell<usize>) {
        trail.enter(Some(session), window, pushes);
        window.push(bar(ts_us));
        trail.push(&bar(ts_us), window, pushes);
    }

    #[test]
    fn a_session_that_was_foreseen_opens_without_taking_in_its_bars_again() {
        let (mut trail, mut window, pushes) = (Trail::default(), Window::new(9), Cell::new(0));
        for ts_us in 1..=5 {
            take(&mut trail, &mut window, 0, ts_us, &pushes);
        }
        trail.foresee(Some(1), &window, &pushes);
        pushes.set(0);
        take(&mut trail, &mut window, 1, 6, &pushes);
        assert_eq!((trail.now().0, pushes.get()), (3456, 1), "the bar itself, and the three before it long since");
        for ts_us in 1..=5 {
            trail.settle(&bar(ts_us), Some(0), window.view().before(6 - ts_us as usize), &pushes);
        }
        pushes.set(0);
        trail.settle(&bar(6), Some(1), window.view(), &pushes);
        assert_eq!((trail.base.state.0, pushes.get()), (3456, 1), "nor when that bar can no longer be revised");
    }

    #[test]
    fn what_was_foreseen_too_early_is_made_anew() {
        let (mut trail, mut window, pushes) = (Trail::default(), Window::new(9), Cell::new(0));
        for ts_us in 1..=4 {
            take(&mut trail, &mut window, 0, ts_us, &pushes);
        }
        trail.foresee(Some(1), &window, &pushes);
        take(&mut trail, &mut window, 0, 5, &pushes);
        take(&mut trail, &mut window, 1, 6, &pushes);
        assert_eq!(trail.now().0, 3456);
    }
}
