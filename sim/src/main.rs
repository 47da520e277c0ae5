//! `sim`: the stand-in model provider as a program, for `make run` and the benchmarks.

use anyhow::Context;
use clap::Parser;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tollgate_sim::provider::{Provider, ProviderOptions};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A model provider that speaks OpenAI's and OpenRouter's wire formats and misbehaves on request.
#[derive(Parser)]
#[command(name = "sim")]
struct Arguments {
    /// Where to listen; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:9100")]
    bind: SocketAddr,
    /// Worker threads
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Generated entries added to the model list
    #[arg(long, default_value_t = 0)]
    extra_models: usize,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do when even stderr is gone.
            let _ = writeln!(std::io::stderr(), "sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(usize::from(arguments.threads))
        .enable_all()
        .build()
        .context("no runtime")?;
    runtime.block_on(async {
        let options =
            ProviderOptions { bind: arguments.bind, extra_models: arguments.extra_models, ..ProviderOptions::default() };
        let provider = Provider::start(options).await?;
        writeln!(std::io::stdout(), "sim listening on {}", provider.addr())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = terminate.recv() => {}
            pressed = tokio::signal::ctrl_c() => pressed?,
        }
        provider.stop().await;
        Ok(())
    })
}
