//! Ticks to bars to patterns, as pure functions of their input.
//!
//! Data runs one way: [`resp`] → [`decode`] → [`aggregate`] → [`history`] ([`window`], [`pattern`]) → [`engine`].
//! No Python, clock, environment, I/O, log or `unsafe`: time is an argument, faults are counted values.
#![forbid(unsafe_code)]

pub mod accumulated;
pub mod aggregate;
pub mod bar;
pub mod batch;
mod begun;
pub mod benchmark;
mod block;
pub mod calendar;
pub mod candle;
pub mod channel;
pub mod condition;
pub mod copy;
pub mod counters;
mod course;
mod decimal;
pub mod decode;
pub mod detection;
pub mod detectors;
mod eights;
pub mod encode;
pub mod engine;
pub mod error;
pub mod event;
pub mod fate;
mod field;
pub mod figure;
mod found;
pub mod history;
pub mod indicator;
mod json;
pub mod ladder;
mod lanes;
mod number;
pub mod offset;
mod orphans;
pub mod output;
pub mod owner;
pub mod pack;
pub mod pattern;
mod places;
mod reply;
pub mod resample;
pub mod resp;
pub mod rolling;
pub mod rollup;
mod roster;
pub mod rules;
mod sealed;
pub mod session;
pub mod settings;
mod sixteen;
mod snapshot;
mod standing;
mod stride;
pub mod study;
pub mod symbol;
mod text;
pub mod tick;
pub mod ticks;
pub mod time;
pub mod timeframe;
mod trail;
pub mod window;
