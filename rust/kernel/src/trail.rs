//! A state that is carried from bar to bar and can go back to the oldest bar that may still be revised.

use serde::{Deserialize, Serialize};

use crate::rules::MOST_REVISABLE;
use crate::window::{SPARE, View, Window, WindowBar};

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

/// Bars of a session from one mark to the next: as many as may be revised, so that two marks do.
const STRIDE: u32 = MOST_REVISABLE as u32;
const _: () = assert!(SPARE >= 2 * MOST_REVISABLE - 1, "a window holds the bars behind a mark");

/// A state in a session.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct At<S> {
    session: Option<i64>,
    /// Bars of the session that it has taken in.
    bars: u32,
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
        Self { session, bars: 0, state }
    }
}

/// A state after the newest bar, which can go back to before the oldest one that may be revised.
///
/// To carry a second state behind the first would be to do all twice. So the state is copied now and then, at every 18th
/// bar of a session: from the newest such mark before the oldest revisable bar, that state is less than 18 bars away.
///
/// `enter` comes before a bar goes into the window, `push` after; both again, in order, for each bar after a `rewind`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Trail<S> {
    now: At<S>,
    /// The newest mark before the oldest revisable bar.
    mark: At<S>,
    /// The next mark, where a revisable bar is before it.
    next: Option<At<S>>,
    /// The session of the newest bar that cannot be revised, and how many of its bars cannot.
    settled: (Option<i64>, u32),
    /// As the newest session opened, or as the next one will if no bar comes before it: made when its first bar opens,
    /// and taken over by `mark`, since so many bars for each of thousands of symbols are too much for one minute's close.
    opened: At<S>,
}

impl<S: Carried> Trail<S> {
    /// The state after the newest bar.
    #[must_use]
    pub(crate) fn now(&self) -> &S {
        &self.now.state
    }

    /// The state that a session begins with which opens behind a window. O([`Carried::BEFORE`]).
    pub(crate) fn begun(window: &Window, shared: &S::Shared) -> S {
        At::opened(None, window.view(), shared).state
    }

    /// Reads a word of each of its cache lines that a bar asks for; see `History::touch`.
    #[inline]
    #[must_use]
    pub(crate) fn touch(&self) -> u64 {
        let session = |at: &At<S>| at.session.map_or(0, |us| us as u64);
        let marked = self.next.as_ref().map_or(0, session) ^ u64::from(self.settled.1);
        self.now.state.touch() ^ session(&self.now) ^ session(&self.opened) ^ marked
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
        self.now.bars = self.now.bars.saturating_add(1);
        if self.now.bars % STRIDE == 0 {
            self.next = Some(self.now);
        }
        if self.opened.session != self.now.session {
            // foreseen before this bar came, or before it was revised
            self.opened.session = None;
        }
    }

    /// The oldest revisable bar, now `view`'s newest, can no longer be revised.
    #[inline]
    pub(crate) fn settle(&mut self, session: Option<i64>, view: View<'_>, shared: &S::Shared) {
        if self.settled.0 != session {
            let is_known = self.opened.session == session;
            self.mark = if is_known { self.opened } else { At::opened(session, view.before(1), shared) };
            self.settled = (session, 0);
            self.next = self.next.filter(|next| next.session == session);
        }
        self.settled.1 = self.settled.1.saturating_add(1);
        if self.settled.1 % STRIDE == 0 {
            if let Some(next) = self.next.take() {
                self.mark = next;
            }
        }
    }

    /// Goes back to before the oldest revisable bar; `window` holds those before it.
    pub(crate) fn rewind(&mut self, window: &Window, shared: &S::Shared) {
        (self.now, self.next) = (self.mark, None);
        let since = self.settled.1.saturating_sub(self.mark.bars);
        for back in (0..since as usize).rev() {
            let view = window.view().before(back);
            if let Some(bar) = view.bar(0) {
                self.now.state.pass(&bar, view, shared);
                self.now.bars += 1;
            }
        }
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
            self.0 = self.0.wrapping_mul(10).wrapping_add(bar.ts_us);
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
            trail.settle(Some(0), window.view().before(6 - ts_us as usize), &pushes);
        }
        pushes.set(0);
        trail.settle(Some(1), window.view(), &pushes);
        assert_eq!((trail.mark.state.0, pushes.get()), (345, 0), "nor when that bar can no longer be revised");
        trail.rewind(&window, &pushes);
        assert_eq!((trail.now().0, pushes.get()), (3456, 1));
    }

    #[test]
    fn it_goes_back_to_any_bar_that_may_be_revised_in_fewer_steps_than_a_mark_is_away() {
        let (mut trail, mut window, pushes) = (Trail::default(), Window::new(9), Cell::new(0));
        for ts_us in 1..=100 {
            take(&mut trail, &mut window, 0, ts_us, &pushes);
            let Some(revisable) = (ts_us as usize).checked_sub(MOST_REVISABLE).map(|_| MOST_REVISABLE - 1) else {
                continue;
            };
            trail.settle(Some(0), window.view().before(revisable), &pushes);
            pushes.set(0);
            let (mut earlier, mut before) = (trail, window.clone());
            assert!(before.rewind(revisable));
            earlier.rewind(&before, &pushes);
            assert!(pushes.get() < MOST_REVISABLE, "at {ts_us}: {} steps", pushes.get());
            for ts_us in ts_us + 1 - revisable as i64..=ts_us {
                take(&mut earlier, &mut before, 0, ts_us, &pushes);
            }
            assert_eq!((earlier.now.state.0, earlier.now.bars), (trail.now.state.0, trail.now.bars));
            assert_eq!(earlier.next.map(|next| next.bars), trail.next.map(|next| next.bars));
        }
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
