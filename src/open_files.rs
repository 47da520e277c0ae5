//! How many files, sockets among them, the process may hold open, and what of them its settings may promise.
//!
//! A process starts with a soft limit of 1,024 on most systems, and may raise it to the hard one. A server that accepts more
//! connections than it has files for calls has none left for its gateways and its database, and fails what it has accepted.

use crate::config::ServerSettings;
use rustix::process::{Resource, getrlimit, setrlimit};

/// For the databases, the actors' files, and what is asked of gateways besides completions.
const KEPT_BACK: usize = 512;

/// Raises the limit as far as it goes; returns it. `None`: there is none.
pub fn raise_limit() -> Option<usize> {
    let mut limit = getrlimit(Resource::Nofile);
    let soft = limit.current;
    limit.current = limit.maximum;
    // Some systems refuse what they call allowed: then it stays as it was.
    let reached = if setrlimit(Resource::Nofile, limit).is_ok() { limit.maximum } else { soft };
    reached.map(|files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// Lowers connections and calls to what this many files allow. True if that was needed.
///
/// A third goes to calls, as each needs a connection to a gateway besides its client's, and what is opened in vain in between.
pub fn fit(server: &mut ServerSettings, files: usize) -> bool {
    let wanted = server.connections_max.saturating_mul(server.workers).saturating_add(server.calls_max);
    let free = files.saturating_sub(KEPT_BACK);
    if wanted <= free {
        return false;
    }
    server.calls_max = server.calls_max.min(free / 3).max(1);
    server.connections_max = server.connections_max.min((free - free / 3) / server.workers).max(1);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Reader;

    fn server(files: usize) -> (bool, usize, usize) {
        let env = |name: &str| match name {
            "HTTP_WORKERS" => Some("4".to_owned()),
            "MAX_CONNECTIONS" => Some("1000".to_owned()),
            "MAX_CALLS" => Some("2000".to_owned()),
            _ => None,
        };
        let mut server = ServerSettings::read(&Reader::new(&env)).expect("settings");
        (fit(&mut server, files), server.connections_max, server.calls_max)
    }

    #[test]
    fn connections_and_calls_fit_into_the_files_that_may_be_open() {
        assert_eq!(server(4 * 1_000 + 2_000 + KEPT_BACK), (false, 1_000, 2_000));
        // Mutant: a limit that counts one worker's connections turns this red.
        assert_eq!(server(4 * 1_000 + 2_000 + KEPT_BACK - 1), (true, 1_000, 1_999));
        assert_eq!(server(3_000 + KEPT_BACK), (true, 500, 1_000));
        assert_eq!(server(10), (true, 1, 1), "it starts all the same");
    }
}
