//! The batch fold equals a sorted map of lists, whatever the order of the input, and names the first bad row.

use proptest::prelude::*;
use std::collections::BTreeMap;
use tickstockpl_kernel::batch::{Aggregate, aggregate};
use tickstockpl_kernel::error::KernelError;

const MINUTE: i64 = 60_000_000;

#[derive(Clone, Copy, Debug)]
struct Trade {
    ts_us: i64,
    price: f64,
    size: i64,
    symbol: i32,
}

fn run(trades: &[Trade], interval_us: i64, with_symbols: bool) -> Result<Vec<Aggregate>, KernelError> {
    let ts_us: Vec<i64> = trades.iter().map(|trade| trade.ts_us).collect();
    let price: Vec<f64> = trades.iter().map(|trade| trade.price).collect();
    let size: Vec<i64> = trades.iter().map(|trade| trade.size).collect();
    let symbol: Vec<i32> = trades.iter().map(|trade| trade.symbol).collect();
    let symbol = with_symbols.then_some(&symbol[..]);
    aggregate(&ts_us, &price, &size, symbol, interval_us).map(|bars| bars.iter().copied().collect())
}

/// Every bar from all of its trades, in the order of arrival.
fn oracle(trades: &[Trade], interval_us: i64) -> Vec<Aggregate> {
    let mut bars: BTreeMap<(i64, i32), Vec<Trade>> = BTreeMap::new();
    for trade in trades {
        let start_us = trade.ts_us.div_euclid(interval_us) * interval_us;
        bars.entry((start_us, trade.symbol)).or_default().push(*trade);
    }
    let bar = |((ts_us, symbol), trades): ((i64, i32), Vec<Trade>)| {
        let mut by_time = trades.clone();
        by_time.sort_by_key(|trade| trade.ts_us); // stable: equal stamps stay as they came
        let prices = trades.iter().map(|trade| trade.price);
        Aggregate {
            ts_us,
            open: by_time[0].price,
            high: prices.clone().fold(f64::MIN, f64::max),
            low: prices.fold(f64::MAX, f64::min),
            close: by_time[by_time.len() - 1].price,
            volume: trades.iter().map(|trade| trade.size).sum(),
            notional: trades
                .iter()
                .skip(1)
                .fold(trades[0].price * trades[0].size as f64, |sum, trade| sum + trade.price * trade.size as f64),
            open_us: by_time[0].ts_us,
            close_us: by_time[by_time.len() - 1].ts_us,
            trades: trades.len() as i64,
            symbol,
        }
    };
    bars.into_iter().map(bar).collect()
}

/// Few symbols and minutes, so that bars are shared, and stamps on both sides of 1970, often equal.
fn trades(symbols: i32) -> impl Strategy<Value = Vec<Trade>> {
    let stamp = prop_oneof![
        4 => (-3_i64..4, 0_i64..6).prop_map(|(minute, tenth)| minute * MINUTE + tenth * 10_000_000),
        2 => -3 * MINUTE..4 * MINUTE,
        1 => prop::sample::select(vec![-1, 0, MINUTE - 1, MINUTE, 31_536_000_000_000, -(1 << 62), (1 << 62) - 1]),
    ];
    let cents = prop_oneof![(1_i64..50_000), Just(1), Just(i64::MAX / 100)];
    let trade = (stamp, cents, 0_i64..1_000_000, 0..symbols).prop_map(|(ts_us, cents, size, symbol)| Trade {
        ts_us,
        price: cents as f64 / 100.0,
        size,
        symbol,
    });
    prop::collection::vec(trade, 0..200)
}

proptest! {
    #[test]
    fn bars_equal_the_oracles_in_any_order_of_input(trades in trades(5)) {
        prop_assert_eq!(run(&trades, MINUTE, true).expect("good rows"), oracle(&trades, MINUTE));
    }

    #[test]
    fn bars_of_ordered_trades_equal_the_oracles(mut trades in trades(3)) {
        trades.sort_by_key(|trade| trade.ts_us);
        prop_assert_eq!(run(&trades, MINUTE, true).expect("good rows"), oracle(&trades, MINUTE));
    }

    #[test]
    fn one_symbol_without_ids_is_symbol_0(trades in trades(1)) {
        let bars = run(&trades, MINUTE, false).expect("good rows");
        prop_assert_eq!(&bars, &run(&trades, MINUTE, true).expect("good rows"));
        prop_assert_eq!(bars, oracle(&trades, MINUTE));
    }

    #[test]
    fn any_interval_is_floored_alike(trades in trades(2), interval_us in 1_i64..200_000_000) {
        prop_assert_eq!(run(&trades, interval_us, true).expect("good rows"), oracle(&trades, interval_us));
    }

    #[test]
    fn the_first_bad_row_is_named(
        mut trades in trades(3),
        at in any::<prop::sample::Index>(),
        bad_price in prop::sample::select(vec![0.0, -0.0, -1.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
        column in 0..4,
    ) {
        prop_assume!(!trades.is_empty());
        let at = at.index(trades.len());
        for trade in &mut trades[at..] {
            match column {
                0 => trade.price = bad_price,
                1 => trade.size = -1,
                2 => trade.symbol = -1,
                _ => trade.ts_us = i64::MIN,
            }
        }
        let name = ["price", "size", "symbol", "ts_us"][column as usize];
        match run(&trades, MINUTE, true) {
            Err(KernelError::Row { column, row, .. }) => prop_assert_eq!((column, row), (name, at)),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn every_finite_positive_price_is_good(bits in 1..f64::INFINITY.to_bits()) {
        let trade = Trade { ts_us: 0, price: f64::from_bits(bits), size: 1, symbol: 0 };
        prop_assert_eq!(run(&[trade], MINUTE, false).expect("a good row").len(), 1);
    }
}

#[test]
fn an_id_that_would_allocate_everything_below_it_is_refused() {
    let trade = |symbol| Trade { ts_us: 0, price: 1.0, size: 1, symbol };
    let error = run(&[trade(0), trade(1 << 24)], MINUTE, true).expect_err("too high");
    assert!(matches!(error, KernelError::Row { column: "symbol", row: 1, .. }), "{error:?}");
    assert_eq!(run(&[trade((1 << 20) - 1)], MINUTE, true).expect("a good row").len(), 1);
}

#[test]
fn an_interval_must_be_positive_and_columns_of_one_length() {
    for interval_us in [0, -1, i64::MIN, 1 << 62] {
        assert!(
            matches!(run(&[], interval_us, false), Err(KernelError::Setting { name: "interval_s", .. })),
            "{interval_us}"
        );
    }
    let error = aggregate(&[0, 1], &[1.0], &[1, 1], None, MINUTE).expect_err("lengths differ");
    assert!(matches!(error, KernelError::Setting { name: "price", .. }), "{error:?}");
}

#[test]
fn the_longest_interval_holds_every_time() {
    let trade = |ts_us| Trade { ts_us, price: 1.0, size: 1, symbol: 0 };
    let ends = [-(1 << 62), -1, 0, (1 << 62) - 1].map(trade);
    let bars = run(&ends, (1 << 62) - 1, false).expect("good rows");
    assert_eq!(bars, oracle(&ends, (1 << 62) - 1));
}
