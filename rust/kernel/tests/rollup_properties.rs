//! Rolled-up bars equal those of a slow reader that lists every bucket of the calendar; a prefix of the minutes gives a
//! prefix of the bars; and it matters neither where a run is cut by a snapshot nor what closes a bucket.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tickstockpl_kernel::bar::{Bar, quality};
use tickstockpl_kernel::error::KernelError;
use tickstockpl_kernel::ladder::Ladder;
use tickstockpl_kernel::resample::{Minutes, Resampled, resample};
use tickstockpl_kernel::rollup::{Rolled, Rollup};
use tickstockpl_kernel::session::{Session, Sessions};
use tickstockpl_kernel::timeframe::{Align, Grid, Timeframe};

const MINUTE_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;
const DAY_US: i64 = 24 * HOUR_US;
/// 2026-02-23 05:00 UTC: a Monday's midnight in New York, 13 days before its clocks change.
const FIRST_US: i64 = 1_771_822_800_000_000;
const DAYS: i64 = 24;
const CHANGE: i64 = 13;

/// Midnight of each day, which are 24 hours long, but for the one on which clocks go forward.
fn midnight(day: i64) -> i64 {
    FIRST_US + day * DAY_US - if day > CHANGE { HOUR_US } else { 0 }
}

#[derive(Clone, Debug)]
struct Market {
    sessions: Vec<Session>,
    bars: Vec<Bar>,
}

impl Market {
    fn table(&self) -> Sessions {
        let rows: Vec<_> = self.sessions.iter().map(|session| (session.open_us, session.close_us)).collect();
        Sessions::new(&rows).expect("days ascend")
    }

    fn grid(&self, align: Align) -> Grid {
        let days: Vec<_> = (0..DAYS).map(|day| (midnight(day), midnight(day + 1))).collect();
        Grid::new(&self.table(), Sessions::new(&days).expect("midnights ascend"), align).expect("they are near")
    }

    fn inside(&self) -> Vec<(Bar, Session)> {
        let session = |us: i64| self.sessions.iter().find(|session| session.open_us <= us && us < session.close_us);
        self.bars.iter().filter_map(|bar| Some((*bar, *session(bar.ts_us)?))).collect()
    }

    /// The edges of every bucket of a session, listed one after the other.
    fn edges(session: Session, timeframe: Timeframe, align: Align) -> Vec<i64> {
        let Some(length_us) = timeframe.length_us() else { return vec![session.open_us, session.close_us] };
        let mut edges = vec![session.open_us, session.close_us];
        if align == Align::Session {
            edges.extend((0..).map(|n| session.open_us + n * length_us).take_while(|&us| us < session.close_us));
        } else {
            for day in -1..=DAYS {
                // An hour of the clock is one of UTC; four hours begin where the clock shows 0, 4, 8, ...
                let hours =
                    (0..(midnight(day + 1) - midnight(day)) / HOUR_US).map(|hour| midnight(day) + hour * HOUR_US);
                let shown =
                    |us: i64| (us - midnight(day)) / HOUR_US + i64::from(day == CHANGE && us > midnight(day) + HOUR_US);
                let whole = hours.filter(|&us| length_us <= HOUR_US || shown(us) % 4 == 0);
                let parts = |us: i64| (0..(HOUR_US / length_us).max(1)).map(move |n| us + n * length_us);
                edges.extend(whole.flat_map(parts));
            }
        }
        edges.retain(|us| (session.open_us..=session.close_us).contains(us));
        edges.sort_unstable();
        edges.dedup();
        edges
    }

    fn bucket(&self, us: i64, session: Session, timeframe: Timeframe, align: Align) -> (i64, i64) {
        if timeframe == Timeframe::Weekly {
            let week = |session: &Session| {
                (0..DAYS).find(|&day| session.close_us - 1 < midnight(day + 1)).expect("days cover sessions") / 7
            };
            let mut same = self.sessions.iter().filter(|other| week(other) == week(&session));
            let first = *same.next().expect("itself");
            return (first.open_us, same.next_back().unwrap_or(&first).close_us);
        }
        let edges = Self::edges(session, timeframe, align);
        let at = edges.iter().rposition(|&edge| edge <= us).expect("the open is one of them");
        (edges[at], edges[at + 1])
    }

    /// Every bar whose bucket is over when the newest minute ends.
    fn oracle(&self, timeframe: Timeframe, align: Align) -> Vec<Rolled> {
        let end_us = self.bars.iter().map(|bar| bar.ts_us + MINUTE_US).max().unwrap_or(i64::MIN);
        let mut groups: Vec<((i64, i64), Vec<Bar>)> = Vec::new();
        for (bar, session) in self.inside() {
            let bucket = self.bucket(bar.ts_us, session, timeframe, align);
            match groups.last_mut().filter(|(newest, _)| *newest == bucket) {
                Some((_, bars)) => bars.push(bar),
                None => groups.push((bucket, vec![bar])),
            }
        }
        groups.retain(|((_, bucket_end_us), _)| *bucket_end_us <= end_us);
        groups.into_iter().map(|((start_us, end_us), bars)| self.rolled(timeframe, start_us, end_us, &bars)).collect()
    }

    fn rolled(&self, timeframe: Timeframe, start_us: i64, end_us: i64, bars: &[Bar]) -> Rolled {
        let known = || bars.iter().filter(|bar| bar.vwap.is_finite() && bar.volume > 0);
        let weight: i64 = known().map(|bar| bar.volume).sum();
        let open = |us: &i64| self.sessions.iter().any(|session| session.open_us <= *us && *us < session.close_us);
        let bar = Bar {
            ts_us: start_us,
            open: bars[0].open,
            high: bars.iter().map(|bar| bar.high).fold(f64::MIN, f64::max),
            low: bars.iter().map(|bar| bar.low).fold(f64::MAX, f64::min),
            close: bars[bars.len() - 1].close,
            volume: bars.iter().map(|bar| bar.volume).sum(),
            vwap: known().map(|bar| bar.vwap * bar.volume as f64).sum::<f64>() / weight as f64,
            trades: bars.iter().map(|bar| bar.trades).sum(),
            quality: bars.iter().fold(0, |flags, bar| flags | bar.quality),
            open_us: bars[0].open_us,
            close_us: bars[bars.len() - 1].close_us,
        };
        let first_us = start_us.div_euclid(MINUTE_US) * MINUTE_US;
        let minutes = (first_us..end_us).step_by(MINUTE_US as usize).filter(|us| *us >= start_us).filter(open).count();
        Rolled { timeframe, bar, end_us, minutes: bars.len() as u32, expected: minutes as u32 }
    }
}

/// Sessions on some of the days, whole and half ones and such as begin the evening before, and minutes in and around them.
fn market() -> impl Strategy<Value = Market> {
    let shape = prop_oneof![
        5 => Just(Some((570, 960))),
        2 => Just(Some((570, 780))),
        2 => Just(Some((-360, 1020))),
        1 => Just(Some((0, 1380))),
        1 => (0_i64..600, 700_i64..1300).prop_map(Some),
        2 => Just(None),
    ];
    // A second: tables need not be of whole minutes.
    let shapes = prop::collection::vec((shape, prop_oneof![9 => Just(0_i64), 1 => 0_i64..60]), DAYS as usize - 1);
    (shapes, prop::collection::vec((0_i64..DAYS * 1440, 1_usize..40), 0..40), any::<u64>()).prop_map(
        |(shapes, runs, seed)| {
            let mut sessions: Vec<Session> = Vec::new();
            for (day, (shape, seconds)) in (1..).zip(shapes) {
                let Some((from, to)) = shape else { continue };
                let open_us = midnight(day) + from * MINUTE_US + seconds * 1_000_000;
                let open_us = sessions.last().map_or(open_us, |last| last.close_us.max(open_us));
                sessions.push(Session { open_us, close_us: midnight(day) + to * MINUTE_US });
            }
            let mut minutes: Vec<_> = runs.iter().flat_map(|&(from, count)| from..from + count as i64).collect();
            minutes.sort_unstable();
            minutes.dedup();
            let bars =
                minutes.into_iter().map(|minute| bar(FIRST_US + minute * MINUTE_US, seed ^ minute as u64)).collect();
            Market { sessions, bars }
        },
    )
}

fn bar(ts_us: i64, seed: u64) -> Bar {
    let draw = |salt: u64, below: u64| (seed.wrapping_add(salt).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % below;
    let price = |salt| 1.0 + draw(salt, 500) as f64 / 100.0;
    let (open, close) = (price(1), price(2));
    Bar {
        ts_us,
        open,
        high: open.max(close) + draw(3, 9) as f64,
        low: open.min(close) / (1.0 + draw(4, 3) as f64),
        close,
        volume: draw(5, 4) as i64 * draw(6, 1_000_000) as i64,
        vwap: if draw(7, 5) == 0 { f64::NAN } else { price(8) },
        trades: draw(9, 100) as i64,
        quality: [0, 0, 0, quality::GAP, quality::LATE_REVISED][draw(10, 5) as usize],
        open_us: ts_us + draw(11, 60_000_000) as i64,
        close_us: if draw(12, 4) == 0 { -1 } else { ts_us + 59_000_000 },
    }
}

/// The bits of bars, so that NaN equals itself.
fn bits(rolled: &[Rolled]) -> Vec<String> {
    rolled
        .iter()
        .map(|rolled| {
            format!("{:?} {:x}", Rolled { bar: Bar { vwap: 0.0, ..rolled.bar }, ..*rolled }, rolled.bar.vwap.to_bits())
        })
        .collect()
}

/// Equal in every field; the vwap, a sum in another order, to twelve digits.
fn assert_near(found: &[Rolled], expected: &[Rolled]) {
    assert_eq!(found.len(), expected.len());
    for (one, other) in found.iter().zip(expected) {
        let (vwap, wanted) = (one.bar.vwap, other.bar.vwap);
        assert!((vwap - wanted).abs() <= 1e-12 * wanted || (vwap.is_nan() && wanted.is_nan()), "{one:?} {other:?}");
        let exact = |rolled: &Rolled| Rolled { bar: Bar { vwap: 0.0, ..rolled.bar }, ..*rolled };
        assert_eq!(exact(one), exact(other));
    }
}

/// What one minute closes.
fn push(rollup: &mut Rollup, bar: &Bar, session: Session, grid: &Grid) -> Vec<Rolled> {
    let mut closed = Vec::new();
    rollup.push(bar, session, grid, |rolled| closed.push(rolled)).expect("minutes come in order");
    closed
}

/// Every bar that is over when the newest minute ends, of minutes one by one.
fn pushed(market: &Market, timeframe: Timeframe, grid: &Grid) -> Vec<Rolled> {
    let end_us = market.bars.last().map_or(i64::MIN, |newest| newest.ts_us + MINUTE_US);
    pushed_up_to(end_us, market, timeframe, grid)
}

fn pushed_up_to(end_us: i64, market: &Market, timeframe: Timeframe, grid: &Grid) -> Vec<Rolled> {
    let mut rollup = Rollup::new(timeframe);
    let inside = market.inside();
    let mut closed: Vec<Rolled> =
        inside.iter().flat_map(|(bar, session)| push(&mut rollup, bar, *session, grid)).collect();
    closed.extend(rollup.close_up_to(end_us));
    closed
}

/// What an engine keeps of one symbol: the minutes that may still change, a ladder after the newest of them and one before
/// the oldest, and what it has said of each bar.
struct Revisable<'a> {
    grid: &'a Grid,
    minutes: BTreeMap<i64, (Bar, Session)>,
    base: Ladder,
    now: Ladder,
    told: BTreeMap<(Timeframe, i64), String>,
    revised: usize,
}

impl<'a> Revisable<'a> {
    const REVISE_US: i64 = 15 * MINUTE_US;

    fn new(grid: &'a Grid) -> Self {
        let (base, now) = (Ladder::new(&Timeframe::ALL), Ladder::new(&Timeframe::ALL));
        Self { grid, minutes: BTreeMap::new(), base, now, told: BTreeMap::new(), revised: 0 }
    }

    /// A minute closes, or one that has closed before comes again with another tick in it.
    fn take(&mut self, bar: Bar, session: Session) {
        let in_order = self.minutes.last_key_value().is_none_or(|(&newest_us, _)| newest_us < bar.ts_us);
        self.minutes.insert(bar.ts_us, (bar, session));
        let mut closed = Vec::new();
        let pushed = in_order.then(|| self.now.push(&bar, session, self.grid, |rolled| closed.push(rolled)));
        if pushed.is_none_or(|pushed| pushed.is_err()) {
            let passed_us = self.now.passed_us();
            self.now = self.base;
            for (bar, session) in self.minutes.values() {
                self.now.push(bar, *session, self.grid, |rolled| closed.push(rolled)).expect("they are in order");
            }
            self.now.close_up_to(passed_us, |rolled| closed.push(rolled));
        }
        self.tell(&closed);
    }

    /// Event time moves on: what has ended closes, and what is too old to change leaves.
    fn pass(&mut self, us: i64) {
        let mut closed = Vec::new();
        self.now.close_up_to(us, |rolled| closed.push(rolled));
        self.tell(&closed);
        while let Some(oldest) = self.minutes.first_entry().filter(|oldest| *oldest.key() < us - Self::REVISE_US) {
            let (bar, session) = oldest.remove();
            self.base.push(&bar, session, self.grid, drop).expect("they leave in order");
        }
    }

    fn tell(&mut self, closed: &[Rolled]) {
        for (rolled, text) in closed.iter().zip(bits(closed)) {
            let before = self.told.insert((rolled.timeframe, rolled.bar.ts_us), text.clone());
            self.revised += usize::from(before.is_some_and(|before| before != text));
        }
    }
}

/// The batch over bars of several symbols.
fn batch(
    rows: &[(i32, Bar)],
    timeframe: Timeframe,
    sessions: &Sessions,
    grid: &Grid,
) -> Result<Resampled, KernelError> {
    fn column<T>(rows: &[(i32, Bar)], cell: impl Fn(&Bar) -> T) -> Vec<T> {
        rows.iter().map(|(_, bar)| cell(bar)).collect()
    }
    let prices =
        [column(rows, |b| b.open), column(rows, |b| b.high), column(rows, |b| b.low), column(rows, |b| b.close)];
    let minutes = Minutes {
        symbol: &rows.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        ts_us: &column(rows, |b| b.ts_us),
        prices: [&prices[0], &prices[1], &prices[2], &prices[3]],
        volume: &column(rows, |b| b.volume),
        vwap: &column(rows, |b| b.vwap),
        trades: &column(rows, |b| b.trades),
        quality: &column(rows, |b| b.quality),
        open_us: &column(rows, |b| b.open_us),
        close_us: &column(rows, |b| b.close_us),
    };
    resample(&minutes, timeframe, sessions, grid, None)
}

/// Rows of a batch as symbols and bars, in bits.
fn rows(made: &Resampled) -> Vec<String> {
    let [open, high, low, close] = &made.prices;
    let row = |at: usize| {
        let whole = (made.symbol[at], made.ts_us[at], made.volume[at], made.trades[at], made.quality[at]);
        let prices = [open[at], high[at], low[at], close[at], made.vwap[at]].map(f64::to_bits);
        format!("{whole:?} {prices:x?} {} {}", made.open_us[at], made.close_us[at])
    };
    (0..made.len()).map(row).collect()
}

fn timeframe() -> impl Strategy<Value = Timeframe> {
    prop::sample::select(Timeframe::ALL.to_vec())
}

fn align() -> impl Strategy<Value = Align> {
    prop::sample::select(vec![Align::Session, Align::Clock])
}

proptest! {
    #[test]
    fn minutes_one_by_one_give_the_bars_of_the_oracle(market in market(), timeframe in timeframe(), align in align()) {
        assert_near(&pushed(&market, timeframe, &market.grid(align)), &market.oracle(timeframe, align));
    }

    #[test]
    fn a_prefix_of_the_minutes_gives_a_prefix_of_the_bars(
        market in market(), timeframe in timeframe(), align in align(), cut in any::<prop::sample::Index>(),
    ) {
        let all = bits(&pushed(&market, timeframe, &market.grid(align)));
        let fewer = Market { bars: market.bars[..cut.index(market.bars.len() + 1)].to_vec(), ..market.clone() };
        let some = bits(&pushed(&fewer, timeframe, &market.grid(align)));
        prop_assert_eq!(&some[..], &all[..some.len()]);
    }

    #[test]
    fn a_run_that_is_cut_by_snapshots_gives_the_same_bits(
        market in market(), timeframe in timeframe(), align in align(), every in 1_usize..50,
    ) {
        let grid = market.grid(align);
        let (mut whole, mut cut) = (Rollup::new(timeframe), Rollup::new(timeframe));
        for (at, (bar, session)) in market.inside().iter().enumerate() {
            if at % every == 0 {
                let bytes = postcard::to_allocvec(&cut).expect("it has a length");
                cut = postcard::from_bytes(&bytes).expect("it was written so");
            }
            let closed = [&mut whole, &mut cut].map(|rollup| push(rollup, bar, *session, &grid));
            prop_assert_eq!(bits(&closed[0]), bits(&closed[1]));
        }
        prop_assert_eq!(postcard::to_allocvec(&whole), postcard::to_allocvec(&cut));
    }

    #[test]
    fn a_watermark_in_every_minute_closes_the_same_bars(market in market(), timeframe in timeframe(), align in align()) {
        let grid = market.grid(align);
        let mut rollup = Rollup::new(timeframe);
        let mut closed = Vec::new();
        for (bar, session) in market.inside() {
            closed.extend(rollup.close_up_to(bar.ts_us));
            closed.extend(push(&mut rollup, &bar, session, &grid));
        }
        closed.extend(market.bars.last().and_then(|newest| rollup.close_up_to(newest.ts_us + MINUTE_US)));
        prop_assert_eq!(bits(&closed), bits(&pushed(&market, timeframe, &grid)));
    }

    #[test]
    fn a_ladder_gives_what_each_timeframe_gives_alone(market in market(), align in align()) {
        let grid = market.grid(align);
        let mut ladder = Ladder::new(&Timeframe::ALL);
        let mut closed: Vec<Rolled> = Vec::new();
        for (bar, session) in market.inside() {
            ladder.push(&bar, session, &grid, |rolled| closed.push(rolled)).expect("they come in order");
        }
        if let Some(newest) = market.bars.last() {
            ladder.close_up_to(newest.ts_us + MINUTE_US, |rolled| closed.push(rolled));
        }
        for timeframe in Timeframe::ALL {
            let own: Vec<Rolled> = closed.iter().filter(|rolled| rolled.timeframe == timeframe).copied().collect();
            prop_assert_eq!(bits(&own), bits(&pushed(&market, timeframe, &grid)));
        }
    }

    /// With every vwap known: a bar does not say of how many of its shares it is.
    #[test]
    fn longer_bars_come_of_shorter_ones_as_of_minutes(market in market(), align in align(), steps in 1_usize..7) {
        let told = |bar: &Bar| Bar { vwap: if bar.vwap.is_nan() { bar.close } else { bar.vwap }, ..*bar };
        let market = Market { bars: market.bars.iter().map(told).collect(), ..market };
        let grid = market.grid(align);
        for pair in Timeframe::ALL.windows(2).skip(1).take(steps) {
            let [shorter, longer] = [pair[0], pair[1]];
            let mut rollup = Rollup::new(longer);
            let mut closed = Vec::new();
            for short in pushed(&market, shorter, &grid) {
                let session = market.table().at(short.bar.ts_us).expect("buckets begin in sessions");
                closed.extend(push(&mut rollup, &short.bar, session, &grid));
                closed.extend(rollup.close_up_to(short.end_us));
            }
            closed.extend(market.bars.last().and_then(|newest| rollup.close_up_to(newest.ts_us + MINUTE_US)));
            let counted = |rolled: &[Rolled]| rolled.iter().map(|r| Rolled { minutes: 0, ..*r }).collect::<Vec<_>>();
            assert_near(&counted(&closed), &counted(&pushed(&market, longer, &grid)));
        }
    }

    /// Minutes that come up to 14 minutes late, some of them twice, with the watermark in every minute between.
    #[test]
    fn late_minutes_end_in_the_bits_of_minutes_in_order_of_time(
        market in market(), align in align(), delays in prop::collection::vec(0_i64..15, 1..50),
    ) {
        let grid = market.grid(align);
        let mut symbol = Revisable::new(&grid);
        let mut arrivals: Vec<(i64, Bar, Session)> = Vec::new();
        for ((bar, session), delay) in market.inside().into_iter().zip(delays.iter().cycle()) {
            let first = Bar { volume: bar.volume / 2, ..bar };
            arrivals.extend((delay % 3 == 0).then_some((bar.ts_us + MINUTE_US, first, session)));
            arrivals.push((bar.ts_us + (1 + delay) * MINUTE_US, bar, session));
        }
        arrivals.sort_by_key(|arrival| arrival.0);
        let end_us = arrivals.last().map_or(i64::MIN, |arrival| arrival.0);
        for (us, bar, session) in arrivals {
            symbol.take(bar, session);
            symbol.pass(us);
        }
        let in_order = |timeframe| pushed_up_to(end_us, &market, timeframe, &grid);
        let expected: Vec<Rolled> = Timeframe::ALL.into_iter().flat_map(in_order).collect();
        let told: Vec<String> = symbol.told.into_values().collect();
        prop_assert_eq!(told, bits(&expected));
    }

    #[test]
    fn the_batch_gives_what_minutes_one_by_one_give_in_any_order_of_rows(
        market in market(), other in market(), timeframe in timeframe(), align in align(), seed in any::<u64>(),
    ) {
        // Both symbols trade in one market, and the data of both goes as far as that of the one that goes farther.
        let other = Market { sessions: market.sessions.clone(), ..other };
        let grid = market.grid(align);
        let end_us = market.bars.iter().chain(&other.bars).map(|bar| bar.ts_us + MINUTE_US).max().unwrap_or(0);
        let mut expected: Vec<(i64, i32, Bar)> = Vec::new();
        let mut rows_of_both: Vec<(i32, Bar)> = Vec::new();
        for (id, market) in [(7, &market), (2, &other)] {
            let mut rollup = Rollup::new(timeframe);
            let inside = market.inside();
            let mut closed: Vec<Rolled> =
                inside.iter().flat_map(|(bar, session)| push(&mut rollup, bar, *session, &grid)).collect();
            closed.extend(rollup.close_up_to(end_us));
            expected.extend(closed.iter().map(|rolled| (rolled.bar.ts_us, id, rolled.bar)));
            rows_of_both.extend(market.bars.iter().map(|bar| (id, *bar)));
        }
        expected.sort_by_key(|(ts_us, id, _)| (*ts_us, *id));
        let mut shuffled = rows_of_both.clone();
        shuffled.sort_by_key(|(id, bar)| (bar.ts_us as u64 ^ u64::from(*id as u32)).wrapping_mul(seed | 1));
        let mut by_time = rows_of_both.clone();
        by_time.sort_by_key(|(_, bar)| bar.ts_us);
        for given in [rows_of_both, by_time, shuffled] {
            let made = batch(&given, timeframe, &market.table(), &grid).expect("good rows");
            let wanted = Resampled {
                symbol: expected.iter().map(|row| row.1).collect(),
                ts_us: expected.iter().map(|row| row.0).collect(),
                prices: [|b: &Bar| b.open, |b: &Bar| b.high, |b: &Bar| b.low, |b: &Bar| b.close]
                    .map(|price| expected.iter().map(|row| price(&row.2)).collect()),
                volume: expected.iter().map(|row| row.2.volume).collect(),
                vwap: expected.iter().map(|row| row.2.vwap).collect(),
                trades: expected.iter().map(|row| row.2.trades).collect(),
                quality: expected.iter().map(|row| row.2.quality).collect(),
                open_us: expected.iter().map(|row| row.2.open_us).collect(),
                close_us: expected.iter().map(|row| row.2.close_us).collect(),
            };
            prop_assert_eq!(rows(&made), rows(&wanted));
        }
    }
}

/// Ten whole minutes of one symbol, in no session table.
fn ten() -> Vec<(i32, Bar)> {
    (0..10).map(|minute| (0, Bar { quality: 0, ..bar(FIRST_US + minute * MINUTE_US, 5) })).collect()
}

fn five(rows: &[(i32, Bar)]) -> Result<Resampled, KernelError> {
    let sessions = Sessions::default();
    let grid = Grid::new(&sessions, Sessions::default(), Align::Session).expect("UTC days");
    batch(rows, Timeframe::Min5, &sessions, &grid)
}

#[test]
fn a_late_minute_revises_the_bars_that_have_closed_without_it_and_no_other() {
    let grid = Grid::new(&Sessions::default(), Sessions::default(), Align::Session).expect("UTC days");
    let day = Session::utc_day(FIRST_US);
    let mut symbol = Revisable::new(&grid);
    let minutes = ten();
    for at in [0, 1, 5, 6] {
        symbol.take(minutes[at].1, day);
    }
    symbol.pass(FIRST_US + 7 * MINUTE_US);
    let five = |symbol: &Revisable<'_>| symbol.told[&(Timeframe::Min5, FIRST_US)].clone();
    let before = five(&symbol);
    symbol.take(minutes[4].1, day);
    assert_ne!(five(&symbol), before);
    symbol.take(minutes[7].1, day);
    assert_eq!(symbol.revised, 1, "the quarter of an hour has not closed yet");
}

#[test]
fn a_minute_out_of_sessions_is_left_out_and_shows_all_the_same_that_time_has_passed() {
    let sessions = Sessions::new(&[(FIRST_US, FIRST_US + 4 * MINUTE_US)]).expect("one");
    let grid = Grid::new(&sessions, Sessions::default(), Align::Session).expect("it is near");
    let made = |rows: &[(i32, Bar)]| batch(rows, Timeframe::Daily, &sessions, &grid).expect("good rows");
    assert_eq!(made(&ten()[..3]).len(), 0, "the session's last minute is not there");
    let closed = made(&[ten()[0], ten()[2], ten()[5]]);
    assert_eq!((closed.len(), closed.trades[0]), (1, ten()[0].1.trades + ten()[2].1.trades));
}

#[test]
fn bars_that_were_open_still_are_neither_rolled_up_nor_a_sign_of_time() {
    let mut rows = ten();
    rows[4].1.quality = quality::PROVISIONAL;
    assert_eq!(five(&rows[..5]).expect("good rows").len(), 0);
    let closed = five(&rows).expect("good rows");
    assert_eq!((closed.len(), closed.prices[3][0]), (2, rows[3].1.close));
    // The same minute again, closed.
    rows.push(ten()[4]);
    assert_eq!(five(&rows).expect("good rows").prices[3][0], ten()[4].1.close);
}

#[test]
fn a_row_that_is_no_bar_is_named_and_so_is_one_that_is_there_twice() {
    let spoiled = |spoil: fn(&mut Bar)| {
        let mut rows = ten();
        spoil(&mut rows[6].1);
        five(&rows).expect_err("row 6 is spoiled").to_string()
    };
    assert_eq!(spoiled(|bar| bar.open = 0.0), "open must be finite and positive, row 6 is 0");
    assert_eq!(spoiled(|bar| bar.close = f64::NAN), "close must be finite and positive, row 6 is NaN");
    assert_eq!(spoiled(|bar| bar.high = f64::INFINITY), "high must be finite and positive, row 6 is inf");
    assert!(spoiled(|bar| bar.low = bar.high + 1.0).starts_with("low must be at most high, row 6 is "));
    assert_eq!(spoiled(|bar| bar.volume = -1), "volume must be 0 or more, row 6 is -1");
    assert_eq!(spoiled(|bar| bar.trades = -1), "trades must be 0 to 2^53, row 6 is -1");
    assert!(spoiled(|bar| bar.ts_us += 1).starts_with("ts_us must be whole minutes within 2^60 µs of 1970, row 6 is "));
    assert!(spoiled(|bar| bar.ts_us = i64::MIN).contains("row 6"));
    let twice = "each bar must be there once; row 6 is not the first of its minute";
    assert_eq!(spoiled(|bar| bar.ts_us -= MINUTE_US), twice);
    assert_eq!(spoiled(|bar| bar.ts_us = FIRST_US), twice);
    let strange: Vec<_> = ten().into_iter().map(|(_, bar)| (-1, bar)).collect();
    assert_eq!(five(&strange).expect_err("no id").to_string(), "symbol must be 0 to 16,777,215, row 0 is -1");
}

#[test]
fn columns_of_different_lengths_are_refused_by_name() {
    let sessions = Sessions::default();
    let grid = Grid::new(&sessions, Sessions::default(), Align::Session).expect("UTC days");
    let (ints, floats) = ([0_i64], [1.0]);
    let minutes = Minutes {
        symbol: &[0],
        ts_us: &ints,
        prices: [&floats; 4],
        volume: &ints,
        vwap: &[],
        trades: &ints,
        quality: &[0],
        open_us: &ints,
        close_us: &ints,
    };
    let error = resample(&minutes, Timeframe::Min5, &sessions, &grid, None).expect_err("no vwap");
    assert_eq!(error.to_string(), "vwap must have 1 rows, had 0");
}
