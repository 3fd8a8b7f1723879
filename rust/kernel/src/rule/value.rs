//! The numbers that rules compare: what there is to say of every symbol's newest bar.

use serde::Serialize;

use crate::detection::price_change;
use crate::indicator::live::relative_volume;
use crate::pattern::{Closing, Level};
use crate::study::{Kernels, Study};

/// Declares the values, with their names and how each is read.
macro_rules! values {
    (|$at:ident, $study:ident, $kernels:ident| $($(#[$doc:meta])* $of:ident $variant:ident $name:literal $bars:literal = $read:expr;)*) => {
        /// A number of the newest bar, or what the bars up to it have come to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        pub enum Value {
            $($(#[$doc])* $variant,)*
        }

        impl Value {
            /// All of them, in order.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$variant),*];

            /// What it is called.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Bars that the window must hold for it.
            #[must_use]
            pub fn bars_needed(self) -> usize {
                match self {
                    $(Self::$variant => $bars,)*
                }
            }

            /// Whether it is part of a study.
            pub(super) fn needs_study(self) -> bool {
                match self {
                    $(Self::$variant => values!(@is_study $of),)*
                }
            }

            /// What it is; NaN while it is not there yet.
            pub(super) fn read(self, $at: &Closing<'_>, $kernels: &Kernels) -> f64 {
                let $study = $at.study;
                let read: Option<f64> = match self {
                    $(Self::$variant => $read,)*
                };
                read.unwrap_or(f64::NAN)
            }
        }
    };
    (@is_study study) => { true };
    (@is_study bar) => { false };
}

values! { |at, study, kernels|
    /// First price.
    bar Open "open" 1 = at.window.bar(0).map(|bar| bar.open);
    /// Highest price.
    bar High "high" 1 = at.window.bar(0).map(|bar| bar.high);
    /// Lowest price.
    bar Low "low" 1 = at.window.bar(0).map(|bar| bar.low);
    /// Last price.
    bar Close "close" 1 = at.window.bar(0).map(|bar| bar.close);
    /// Shares.
    bar Volume "volume" 1 = at.window.bar(0).map(|bar| bar.volume as f64);
    /// Percent against the bar before.
    bar PriceChange "price_change" 1 = Some(price_change(at.window));
    /// Volume over the mean of the 20 bars before.
    bar RelativeVolume "relative_volume" 21 = relative_volume(at.window.view());
    /// Average true range of 14 bars, in price: a of the definitions.
    study Atr "atr" 14 = study.and_then(Study::atr);
    /// Over 14 changes, 0 to 100.
    study Rsi "rsi" 14 = study.map(|study| study.momentum().rsi.is);
    /// Exponential average of 9 closes.
    study Ema9 "ema_9" 9 = study.map(|study| study.momentum().ema_9());
    /// Of 12.
    study Ema12 "ema_12" 12 = study.map(|study| study.momentum().ema_12());
    /// Of 20.
    study Ema20 "ema_20" 20 = study.map(|study| study.momentum().slow[0]);
    /// Of 26.
    study Ema26 "ema_26" 26 = study.map(|study| study.momentum().slow[1]);
    /// Mean of 50 closes.
    study Sma50 "sma_50" 50 = study.map(|study| study.momentum().sma_50(at.window.bars(), kernels));
    /// Of 200.
    study Sma200 "sma_200" 200 = study.map(|study| study.momentum().slow[2]);
    /// MACD 12/26/9, in price.
    study Macd "macd" 34 = study.map(|study| study.momentum().macd()[0]);
    /// Its signal.
    study MacdSignal "macd_signal" 34 = study.map(|study| study.momentum().macd()[1]);
    /// Line − signal.
    study MacdHistogram "macd_histogram" 34 = study.map(|study| study.momentum().histogram.is);
    /// Mean of 20 closes + 2σ.
    study BollingerUpper "bollinger_upper" 20 = study.map(|study| study.bands().upper);
    /// The mean.
    study BollingerMiddle "bollinger_middle" 20 = study.map(|study| study.bands().middle);
    /// The mean − 2σ.
    study BollingerLower "bollinger_lower" 20 = study.map(|study| study.bands().lower);
    /// %K of the stochastic 14/1/3, 0 to 100.
    study StochasticK "stochastic_k" 14 = study.map(|study| study.momentum().k_and_d()[0]);
    /// Its %D.
    study StochasticD "stochastic_d" 16 = study.map(|study| study.momentum().k_and_d()[1]);
    /// Volume-weighted average of typical prices since the session's open.
    study Vwap "vwap" 1 = study.zip(at.window.bar(0)).map(|(study, bar)| bar.close - study.momentum().vwap.is);
    /// Highest price of the session before this bar.
    bar SessionHigh "session_high" 2 = at.session.high();
    /// Lowest price of the session before this bar.
    bar SessionLow "session_low" 2 = at.session.low();
    /// First price of the session before; not there where a split seems to lie between, as with the next three.
    bar PreviousOpen "previous_open" 1 = at.window.bar(0).and_then(|bar| Some(at.session.comparable_day(&bar)?.open));
    /// Its highest price.
    bar PreviousHigh "previous_high" 1 = at.window.bar(0).and_then(|bar| Some(at.session.comparable_day(&bar)?.high));
    /// Its lowest price.
    bar PreviousLow "previous_low" 1 = at.window.bar(0).and_then(|bar| Some(at.session.comparable_day(&bar)?.low));
    /// Its last price.
    bar PreviousClose "previous_close" 1 = at.window.bar(0).and_then(|bar| Some(at.session.comparable_day(&bar)?.close));
}

impl Value {
    /// What may be missing from what it is measured from beyond bars.
    pub(super) fn flags(self, at: &Closing<'_>) -> u8 {
        match self {
            Self::Vwap | Self::SessionHigh | Self::SessionLow => at.session.flags(),
            Self::PreviousOpen | Self::PreviousHigh | Self::PreviousLow | Self::PreviousClose => {
                at.session.level_flags(Level::Day)
            }
            _ => 0,
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.name() == name)
    }
}
