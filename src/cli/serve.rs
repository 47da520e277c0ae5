//! `tollgate serve`.

use super::demo::Demo;
use super::environment::{Database, block_on, start_log, variable};
use super::say;
use crate::config::{ServerSettings, Settings};
use crate::open_files;
use crate::shutdown::{Drained, StopSignals};
use crate::startup::{Application, Deps};
use std::process::ExitCode;
use std::sync::Arc;
use tollgate_actors::ports::SystemClock;

#[derive(clap::Args)]
pub(super) struct ServeArgs {
    /// Random secrets kept under DATA_DIR, a demo user, and stand-ins for providers without a key
    #[arg(long)]
    demo: bool,
}

pub(super) fn run(arguments: &ServeArgs) -> anyhow::Result<ExitCode> {
    start_log(false)?;
    block_on(async {
        let mut signals = StopSignals::listen()?;
        let (mut settings, demo) = if arguments.demo {
            let (demo, settings) = Demo::prepare(variable).await?;
            (settings, Some(demo))
        } else {
            (Settings::from_env(variable)?, None)
        };
        // Before a database is started for nothing.
        drop(crate::http::server::bind(settings.server.bind_addr, settings.timeouts.write)?);
        fit_open_files(&mut settings.server);
        let data_dir = settings.server.data_dir.clone();
        let database = tokio::select! {
            database = Database::open(&mut settings.database, &data_dir) => database?,
            () = signals.next() => return Ok(ExitCode::SUCCESS),
        };
        let outcome = serve(settings, demo, &mut signals).await;
        database.close().await;
        outcome
    })
}

fn fit_open_files(server: &mut ServerSettings) {
    let Some(limit) = open_files::raise_limit() else { return };
    if open_files::fit(server, limit) {
        let (connections, calls) = (server.connections_max, server.calls_max);
        tracing::warn!(
            limit,
            connections,
            calls,
            "MAX_CONNECTIONS and MAX_CALLS are lowered to what the limit on open files allows; raise it (LimitNOFILE, ulimit -n) for more"
        );
    }
}

async fn serve(settings: Settings, demo: Option<Demo>, signals: &mut StopSignals) -> anyhow::Result<ExitCode> {
    let deps = Deps { clock: Arc::new(SystemClock) };
    let application = tokio::select! {
        built = Application::build(settings, deps) => built?,
        () = signals.next() => return Ok(ExitCode::SUCCESS),
    };
    let address = application.address();
    tracing::info!(%address, "serving");
    match &demo {
        Some(demo) => demo.welcome(&application).await?,
        None => say(format_args!("Serving at http://{address}, documentation at http://{address}/docs")),
    }
    let drained = application.run_until_stopped(signals.next()).await?;
    Ok(if drained == Drained::Clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
