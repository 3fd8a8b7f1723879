//! Batch, step and stream of each indicator give the same bits; the rolling sums are exact.

use proptest::prelude::*;
use tickstockpl_kernel::indicator::Seed;
use tickstockpl_kernel::indicator::adx::{Adx, AdxState, Move};
use tickstockpl_kernel::indicator::atr::{Atr, AtrState};
use tickstockpl_kernel::indicator::bollinger::Bollinger;
use tickstockpl_kernel::indicator::ema::{Ema, EmaState};
use tickstockpl_kernel::indicator::macd::{Macd, MacdState};
use tickstockpl_kernel::indicator::obv::{Obv, ObvState};
use tickstockpl_kernel::indicator::pivots::{Kind, Pivots};
use tickstockpl_kernel::indicator::rsi::{Rsi, RsiState};
use tickstockpl_kernel::indicator::sma::Sma;
use tickstockpl_kernel::indicator::stochastic::Stochastic;
use tickstockpl_kernel::indicator::stream::{IndicatorStream, NAMES, Settings};
use tickstockpl_kernel::indicator::volume_ratio::VolumeRatio;
use tickstockpl_kernel::indicator::vwap::{Vwap, VwapState};
use tickstockpl_kernel::pack::{Pack, Real, WIDTH};
use tickstockpl_kernel::rolling::{RollingSum, deviation, highest, lowest};

/// Columns of one series.
#[derive(Clone, Debug, Default)]
struct Bars {
    high: Vec<f64>,
    low: Vec<f64>,
    close: Vec<f64>,
    volume: Vec<f64>,
}

impl Bars {
    fn rows(&self) -> usize {
        self.close.len()
    }
}

/// Bars on a grid so coarse that ties and flat windows are common, at any level; long enough for several pieces.
fn bars() -> impl Strategy<Value = Bars> {
    let rows = prop_oneof![4 => 0_usize..90, 1 => 500_usize..1100];
    let level = prop::sample::select(vec![0.0, 50.0, 1e6]);
    let unit = prop::sample::select(vec![0.01, 1.0, 0.3]);
    (rows, level, unit).prop_flat_map(|(rows, level, unit)| {
        let row = (0_u32..9, 0_u32..9, 0_u32..9, 0_u32..4);
        prop::collection::vec(row, rows).prop_map(move |rows| {
            let mut bars = Bars::default();
            let price = |steps: u32| level + f64::from(steps) * unit;
            for (one, other, close, volume) in rows {
                bars.high.push(price(one.max(other)));
                bars.low.push(price(one.min(other)));
                bars.close.push(price(close));
                bars.volume.push(f64::from(volume) * 100.0);
            }
            bars
        })
    })
}

fn seeds() -> impl Strategy<Value = Seed> {
    prop::sample::select(vec![Seed::Sma, Seed::First])
}

/// Equal bits, but for the sign of a zero; any NaN equals any other.
#[track_caller]
fn assert_same(ours: &[f64], expected: &[f64], what: &str) {
    assert_eq!(ours.len(), expected.len(), "{what}");
    for (row, (ours, expected)) in ours.iter().zip(expected).enumerate() {
        assert!(
            ours == expected || (ours.is_nan() && expected.is_nan()),
            "{what}, row {row}: {ours} is not {expected}"
        );
    }
}

fn before(column: &[f64], row: usize) -> f64 {
    if row == 0 { f64::NAN } else { column[row - 1] }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn each_batch_is_its_steps(bars in bars(), n in 2_usize..30, seed in seeds()) {
        let Bars { high, low, close, volume } = &bars;
        let rows = 0..bars.rows();

        let (kernel, mut state) = (Ema::new(n, seed).expect("a period"), EmaState::default());
        let steps: Vec<f64> = rows.clone().map(|row| kernel.advance(&mut state, row, close[row])).collect();
        assert_same(&kernel.batch(close).expect("finite"), &steps, "ema");

        let (kernel, mut state) = (Rsi::new(n, seed).expect("a period"), RsiState::default());
        let step = |row| kernel.advance(&mut state, row, close[row], before(close, row));
        assert_same(&kernel.batch(close).expect("finite"), &rows.clone().map(step).collect::<Vec<_>>(), "rsi");

        let (kernel, mut state) = (Macd::new(n, n + 7, 5, seed).expect("spans"), MacdState::default());
        let batch = kernel.batch(close).expect("finite");
        let steps: Vec<_> = rows.clone().map(|row| kernel.advance(&mut state, row, close[row])).collect();
        assert_same(&batch.line, &steps.iter().map(|step| step.line).collect::<Vec<_>>(), "macd");
        assert_same(&batch.signal, &steps.iter().map(|step| step.signal).collect::<Vec<_>>(), "signal");
        assert_same(&batch.histogram, &steps.iter().map(|step| step.histogram).collect::<Vec<_>>(), "histogram");

        let (kernel, mut state) = (Atr::new(n, seed).expect("a period"), AtrState::default());
        let step = |row| kernel.advance(&mut state, row, high[row], low[row], before(close, row));
        let steps: Vec<f64> = rows.clone().map(step).collect();
        assert_same(&kernel.batch(high, low, close).expect("bars"), &steps, "atr");

        let (kernel, mut state) = (Adx::new(n, seed).expect("a period"), AdxState::default());
        let step = |row: usize| {
            let bar = Move {
                high: high[row],
                low: low[row],
                previous_high: before(high, row),
                previous_low: before(low, row),
                previous_close: before(close, row),
            };
            kernel.advance(&mut state, row, bar)
        };
        let steps: Vec<_> = rows.clone().map(step).collect();
        let batch = kernel.batch(high, low, close).expect("bars");
        assert_same(&batch.adx, &steps.iter().map(|step| step.adx).collect::<Vec<_>>(), "adx");
        assert_same(&batch.plus, &steps.iter().map(|step| step.plus).collect::<Vec<_>>(), "+di");
        assert_same(&batch.minus, &steps.iter().map(|step| step.minus).collect::<Vec<_>>(), "-di");
        let mut alone = vec![0.0; bars.rows()];
        kernel.fill_adx([high, low, close], &mut alone).expect("bars");
        assert_same(&alone, &batch.adx, "adx alone");

        let mut state = ObvState::default();
        let step = |row| Obv.advance(&mut state, row, close[row], before(close, row), volume[row]);
        assert_same(&Obv.batch(close, volume).expect("finite"), &rows.clone().map(step).collect::<Vec<_>>(), "obv");

        let mut state = VwapState::default();
        let step = |row: usize| {
            if row % 11 == 0 {
                state = VwapState::default();
            }
            Vwap.step(&mut state, true, [high[row], low[row], close[row]], volume[row])
        };
        let steps: Vec<_> = rows.clone().map(step).collect();
        let session: Vec<i64> = rows.clone().map(|row| (row / 11) as i64).collect();
        let batch = Vwap.batch([high, low, close], volume, Some(&session)).expect("bars");
        assert_same(&batch.vwap, &steps.iter().map(|step| step.vwap).collect::<Vec<_>>(), "vwap");
        assert_same(&batch.sigma, &steps.iter().map(|step| step.sigma).collect::<Vec<_>>(), "sigma");

        let pivots = Pivots::new(Kind::Fibonacci);
        let batch = pivots.batch(high, low, close).expect("bars");
        for row in rows {
            let step = pivots.step(high[row], low[row], close[row]);
            prop_assert_eq!(batch.pivot[row], step.pivot);
            prop_assert_eq!(batch.resistance.each_ref().map(|level| level[row]), step.resistance);
            prop_assert_eq!(batch.support.each_ref().map(|level| level[row]), step.support);
        }
    }

    #[test]
    fn each_windowed_batch_is_its_steps(bars in bars(), n in 1_usize..30, ddof in 0_usize..2) {
        let Bars { high, low, close, volume } = &bars;
        let leaving = |column: &[f64], row: usize, n: usize| if row < n { 0.0 } else { column[row - n] };
        let shown = |row: usize, lookback: usize, value: f64| if row < lookback { f64::NAN } else { value };

        let (kernel, mut sum) = (Sma::new(n).expect("a period"), RollingSum::default());
        let step = |row| shown(row, n - 1, kernel.step(&mut sum, true, close[row], leaving(close, row, n)));
        let means: Vec<f64> = (0..bars.rows()).map(step).collect();
        assert_same(&kernel.batch(close).expect("finite"), &means, "sma");

        let (kernel, mut sum) = (VolumeRatio::new(n).expect("a period"), RollingSum::default());
        let step = |row| shown(row, n, kernel.step(&mut sum, true, volume[row], leaving(volume, row, n)));
        let steps: Vec<f64> = (0..bars.rows()).map(step).collect();
        assert_same(&kernel.batch(volume).expect("finite"), &steps, "volume ratio");

        if n > 1 {
            let kernel = Bollinger::new(n, 1.5, ddof).expect("settings");
            let batch = kernel.batch(close).expect("finite");
            for row in n - 1..bars.rows() {
                let step = kernel.step(means[row], |k| close[row + 1 - n + k]);
                prop_assert_eq!((batch.upper[row], batch.lower[row]), (step.upper, step.lower));
            }
            assert_same(&batch.middle, &means, "middle");
        }

        let kernel = Stochastic::new(n, 2, 3).expect("periods");
        let batch = kernel.batch(high, low, close).expect("bars");
        let (mut k_total, mut d_total) = Default::default();
        let (mut raw, mut slow) = (Vec::new(), Vec::new());
        for row in n - 1..bars.rows() {
            raw.push(kernel.raw(close[row], |k| high[row + 1 - n + k], |k| low[row + 1 - n + k], 0.0));
            let k = total(&mut k_total, &raw, 2);
            if raw.len() >= 2 {
                slow.push(k);
                let d = total(&mut d_total, &slow, 3);
                if slow.len() >= 3 {
                    prop_assert_eq!((batch.k[row], batch.d[row]), (k, d));
                }
            }
        }
        prop_assert_eq!(batch.k.iter().filter(|x| !x.is_nan()).count(), slow.len().saturating_sub(2));
    }

    #[test]
    fn a_stream_gives_each_symbol_what_the_batches_give(
        symbols in prop::collection::vec(bars(), 1..12), share in 0.05_f64..1.0, seed in seeds(), draws in any::<u64>()
    ) {
        let settings = Settings { seed, rsi: 3, adx: 2, macd: (3, 5, 2), sma: 4, bollinger: (6, 2.0), ..Settings::default() };
        let mut stream = IndicatorStream::new(symbols.len(), settings).expect("settings");
        let mut next = vec![0; symbols.len()];
        let mut made = vec![vec![Vec::new(); NAMES.len()]; symbols.len()];
        let mut draws = draws | 1;
        while next.iter().zip(&symbols).any(|(next, bars)| *next < bars.rows().min(60)) {
            let mut columns = [const { Vec::new() }; 5];
            let mut present = Vec::new();
            for (bars, next) in symbols.iter().zip(&mut next) {
                // xorshift: any sequence will do
                draws ^= draws << 13;
                draws ^= draws >> 7;
                draws ^= draws << 17;
                let has = *next < bars.rows().min(60) && (draws % 1000) as f64 <= share * 1000.0;
                let row = *next;
                let given = |column: &[f64]| if has { column[row] } else { f64::NAN };
                let bar = [&bars.close, &bars.high, &bars.low, &bars.close, &bars.volume].map(|c| given(c));
                columns.iter_mut().zip(bar).for_each(|(column, x)| column.push(x));
                present.push(has);
                *next += usize::from(has);
            }
            let values = stream.update(columns.each_ref().map(Vec::as_slice)).expect("bars");
            for (symbol, has) in present.into_iter().enumerate() {
                for (column, values) in made[symbol].iter_mut().zip(&values) {
                    if has { column.push(values[symbol]) } else { prop_assert!(values[symbol].is_nan()) }
                }
            }
        }
        for (bars, made) in symbols.iter().zip(&made) {
            for ((expected, made), name) in batches(bars, &settings).iter().zip(made).zip(NAMES) {
                assert_same(made, &expected[..made.len()], name);
            }
        }
    }

    #[test]
    fn a_restored_stream_goes_on_as_the_first(bars in bars(), cut in 0_usize..60) {
        let mut first = IndicatorStream::new(2, Settings::default()).expect("settings");
        let mut second = first.clone();
        let row = |row: usize| {
            let at = |column: &[f64]| if row % 7 == 0 { vec![f64::NAN, column[row]] } else { vec![column[row]; 2] };
            [at(&bars.close), at(&bars.high), at(&bars.low), at(&bars.close), at(&bars.volume)]
        };
        for at in 0..cut.min(bars.rows()) {
            first.update(row(at).each_ref().map(Vec::as_slice)).expect("bars");
        }
        second.restore(&first.snapshot()).expect("its own snapshot");
        for at in cut.min(bars.rows())..bars.rows().min(120) {
            let ours = first.update(row(at).each_ref().map(Vec::as_slice)).expect("bars");
            let theirs = second.update(row(at).each_ref().map(Vec::as_slice)).expect("bars");
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_same(ours, theirs, "restored");
            }
        }
    }

    #[test]
    fn a_rolling_sum_is_the_true_one_rounded_once(cents in prop::collection::vec(-4_000_000_i64..4_000_000, 1..400), n in 1_usize..30) {
        // in sixty-fourths, which floats hold exactly beside a million: the true sum is an integer
        let x: Vec<f64> = cents.iter().map(|cents| *cents as f64 / 64.0).collect();
        let mut sum = RollingSum::<f64>::default();
        for row in 0..x.len() {
            sum.slide(true, x[row], if row < n { 0.0 } else { x[row - n] });
            let truth: i64 = cents[(row + 1).saturating_sub(n)..=row].iter().sum();
            prop_assert_eq!(sum.value(), truth as f64 / 64.0);
        }
    }

    #[test]
    fn what_went_through_a_sum_leaves_no_trace(spike in -1e12_f64..1e12, cents in prop::collection::vec(1_u32..100_000, 8..60)) {
        let x: Vec<f64> = cents.iter().map(|cents| f64::from(*cents) / 100.0).collect();
        let sum_of_last_four = |series: &[f64]| {
            let mut sum = RollingSum::<f64>::default();
            for (row, x) in series.iter().enumerate() {
                sum.slide(true, *x, if row < 4 { 0.0 } else { series[row - 4] });
            }
            sum.value()
        };
        let spiked: Vec<f64> = std::iter::once(spike).chain(x.iter().copied()).collect();
        prop_assert_eq!(sum_of_last_four(&spiked), sum_of_last_four(&x[x.len() - 4..]));
    }

    #[test]
    fn eight_lanes_round_as_one_does(
        a in prop::array::uniform8(-1e3_f64..1e3), b in prop::array::uniform8(-1e3_f64..1e3), c in prop::array::uniform8(-1e3_f64..1e3)
    ) {
        let (x, y, z) = (Pack(a), Pack(b), Pack(c));
        for lane in 0..WIDTH {
            let (a, b, c) = (a[lane], b[lane], c[lane]);
            prop_assert_eq!((x + y).0[lane], a + b);
            prop_assert_eq!((x - y).0[lane], a - b);
            prop_assert_eq!((x * y).0[lane], a * b);
            prop_assert_eq!((x / y).0[lane].to_bits(), (a / b).to_bits());
            prop_assert_eq!(Real::mul_add(x, y, z).0[lane], a.mul_add(b, c));
            prop_assert_eq!(Real::abs(x).sqrt().0[lane], a.abs().sqrt());
            prop_assert_eq!(x.max(y).0[lane], Real::max(a, b));
            prop_assert_eq!(x.min(y).0[lane], Real::min(a, b));
            prop_assert_eq!(Pack::pick(x.above(y), x, z).0[lane], if a > b { a } else { c });
            prop_assert_eq!(Pack::pick(x.equals(x), x, z).0[lane], a);
        }
    }
}

/// One step of a smoothing total.
fn total(state: &mut tickstockpl_kernel::indicator::stochastic::Total<f64>, x: &[f64], n: usize) -> f64 {
    let newest = x[x.len() - 1];
    state.step(true, newest, if x.len() < n { 0.0 } else { x[x.len() - n] }, n)
}

/// The batches of one symbol in the stream's order.
fn batches(bars: &Bars, settings: &Settings) -> Vec<Vec<f64>> {
    let Bars { high, low, close, volume } = bars;
    let seed = settings.seed;
    let (macd, bands) = (settings.macd, settings.bollinger);
    let macd = Macd::new(macd.0, macd.1, macd.2, seed).and_then(|kernel| kernel.batch(close)).expect("macd");
    let bands = Bollinger::new(bands.0, bands.1, settings.ddof).and_then(|kernel| kernel.batch(close)).expect("bands");
    let adx = Adx::new(settings.adx, seed).and_then(|kernel| kernel.batch(high, low, close)).expect("adx");
    let (k, slow_k, slow_d) = settings.stochastic;
    let lines = Stochastic::new(k, slow_k, slow_d).and_then(|kernel| kernel.batch(high, low, close)).expect("lines");
    let ema = |period| Ema::new(period, seed).and_then(|kernel| kernel.batch(close)).expect("ema");
    vec![
        Sma::new(settings.sma).and_then(|kernel| kernel.batch(close)).expect("sma"),
        ema(settings.ema.0),
        ema(settings.ema.1),
        Rsi::new(settings.rsi, seed).and_then(|kernel| kernel.batch(close)).expect("rsi"),
        macd.line,
        macd.signal,
        macd.histogram,
        bands.upper,
        bands.middle,
        bands.lower,
        Atr::new(settings.atr, seed).and_then(|kernel| kernel.batch(high, low, close)).expect("atr"),
        adx.adx,
        adx.plus,
        adx.minus,
        Obv.batch(close, volume).expect("obv"),
        lines.k,
        lines.d,
    ]
}

#[test]
fn a_deviation_is_right_at_any_level_and_nought_on_equal_values() {
    for level in [0.0, 100.0, 1e9] {
        let x = [level + 1.0, level + 2.0, level + 4.0, level + 5.0];
        assert!((deviation(4, 0, |k| x[k]) - 2.5_f64.sqrt()).abs() < 1e-15, "{level}");
        assert!((deviation(4, 1, |k| x[k]) - (10.0_f64 / 3.0).sqrt()).abs() < 1e-15, "{level}");
    }
    assert_eq!(deviation(20, 0, |_| 100.1), 0.0);
    assert_eq!(deviation(1, 0, |_| 5.0), 0.0);
}

#[test]
fn extremes_are_those_of_the_window() {
    let x = [3.0, -1.0, 7.0, 7.0];
    assert_eq!((highest(4, |k| x[k]), lowest(4, |k| x[k])), (7.0, -1.0));
    assert_eq!((highest(0, |k| x[k]), lowest(0, |k| x[k])), (f64::NEG_INFINITY, f64::INFINITY));
}

#[test]
fn rsi_of_a_textbook_series() {
    // Fourteen changes of the QQQQ example that StockCharts' page on RSI works out: 70.53 on the fifteenth close.
    let close = [
        44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931, 46.0328,
        45.6140, 46.2820, 46.2820,
    ];
    let rsi = Rsi::new(14, Seed::Sma).and_then(|kernel| kernel.batch(&close)).expect("finite");
    assert!(rsi[..14].iter().all(|x| x.is_nan()));
    assert_eq!(format!("{:.2}", rsi[14]), "70.53");
}
