//! `instructions KERNEL RUNS`: does that and no more, to be counted by callgrind; `benches/instructions.py` drives it.
//!
//! Prints what a run's work is: how many units of what, and what the runs found. The difference between two numbers of
//! runs is the kernel's alone: making its input and starting the process cancel out.

#[path = "../benches/hot/mod.rs"]
mod hot;

use std::hint::black_box;
use std::process::ExitCode;

use hot::{Bars, Candlesticks, Decode, Hot};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [kernel, runs] = &words[..] else { return usage() };
    let Ok(runs) = runs.parse() else { return usage() };
    match kernel.as_str() {
        "decode" => repeated("message", Decode::new(), runs),
        "bars" => repeated("trade", Bars::new(), runs),
        "candlesticks" => repeated("bar", Candlesticks::new(), runs),
        _ => usage(),
    }
}

#[expect(clippy::disallowed_macros, reason = "the program around the kernel, for a reader of its output")]
fn repeated(unit: &str, mut kernel: impl Hot, runs: usize) -> ExitCode {
    let found: usize = (0..runs).map(|_| black_box(&mut kernel).run()).sum();
    println!("{{\"unit\": \"{unit}\", \"work\": {}, \"found\": {found}}}", kernel.work());
    ExitCode::SUCCESS
}

#[expect(clippy::disallowed_macros, reason = "the program around the kernel, for a reader of its output")]
fn usage() -> ExitCode {
    eprintln!("usage: instructions decode|bars|candlesticks RUNS");
    ExitCode::FAILURE
}
