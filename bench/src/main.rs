//! `bench`: what a paid completion costs, beside a bare nginx and the bare provider in the same run.
//!
//! Everything is a real process on loopback: `sim`, `nginx` with one worker, the server with everything on, and PostgreSQL
//! with fsync on (`BENCH_DATABASE_URL`, a superuser's). Programs are looked for beside this one.

mod http;
mod parts;
mod proxy;
mod report;
mod streams;
mod wrk;

use anyhow::Result;
use clap::Parser;

/// The promises that are figures.
#[derive(Parser)]
enum Bench {
    /// P0: completions as fast as they go, `wrk` as the load.
    Proxy(proxy::Options),
    /// P1: what the server adds to a call at a rate far below saturation, and what a thousand streams at once cost.
    Streams(streams::Options),
}

fn main() -> Result<()> {
    match Bench::parse() {
        Bench::Proxy(options) => proxy::run(&options),
        Bench::Streams(options) => streams::run(&options),
    }
}
