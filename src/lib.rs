//! The server: its doors and what they are wired to. A library, so that tests can build it with a turned clock.

pub mod adapters;
pub mod cli;
pub mod completion;
pub mod config;
pub mod files;
pub mod http;
pub mod private_postgres;
pub mod shutdown;
pub mod startup;
pub mod telemetry;

mod io;
mod open_files;
mod wiring;

/// Chooses rustls' crypto once for the process: with two providers in the tree some clients would panic. The first line of
/// every `main`; a later call changes nothing.
pub fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
