//! The line of callers that wait for their holds. Above capacity it would grow until they leave unserved; so who comes to a
//! line that is slow is sent away at once, and those who stand in it are served.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Longer than this nobody is to wait for a hold: a batch is written in a tenth of it.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// A line this short is no overload, however long its last one waited: a disk may stall.
const SHORT: usize = 512;

#[derive(Debug, Default)]
pub struct Line {
    waiting: AtomicUsize,
    /// Of the one who was served last; 0 when nobody waits any more.
    last_wait_ms: AtomicU64,
}

/// One who waits. Dropped, they have been served, or have left.
#[derive(Debug)]
pub struct InLine {
    line: Arc<Line>,
    since: Instant,
}

impl Line {
    /// Who comes now would wait for too long.
    pub fn is_slow(&self) -> bool {
        let last_wait = Duration::from_millis(self.last_wait_ms.load(Ordering::Relaxed));
        last_wait > WAIT_MAX && self.waiting.load(Ordering::Relaxed) >= SHORT
    }

    pub fn enter(self: &Arc<Self>) -> InLine {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        InLine { line: Arc::clone(self), since: Instant::now() }
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        let waited = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let was_last = self.line.waiting.fetch_sub(1, Ordering::Relaxed) == 1;
        self.line.last_wait_ms.store(if was_last { 0 } else { waited }, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As if that one had come so long ago.
    fn came_earlier(mut waiting: InLine, by: Duration) -> InLine {
        waiting.since = Instant::now().checked_sub(by).expect("the machine runs for longer");
        waiting
    }

    #[test]
    fn a_slow_line_takes_nobody_until_it_is_short_again() {
        let line = Arc::new(Line::default());
        let mut all: Vec<InLine> = (0..2 * SHORT).map(|_| line.enter()).collect();
        assert!(!line.is_slow(), "long, and nobody has waited for long");
        drop(came_earlier(all.pop().unwrap(), 2 * WAIT_MAX));
        // Mutant: a line that does not look at the last wait turns this red.
        assert!(line.is_slow(), "long and slow");
        all.truncate(SHORT - 1);
        drop(came_earlier(all.pop().unwrap(), 2 * WAIT_MAX));
        assert!(!line.is_slow(), "slow, but short");
        all.clear();
        let _many: Vec<InLine> = (0..2 * SHORT).map(|_| line.enter()).collect();
        assert!(!line.is_slow(), "what was slow once is forgotten");
    }
}
