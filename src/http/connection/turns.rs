//! Who of a worker's connections reads next.
//!
//! A worker with thousands of requests waiting that reads them all before it goes on with any has each call's memory out of its
//! caches whenever it comes back to it: with 5,000 calls under way one took a third more of its time than with 64. So it reads some
//! requests, then goes on with whatever has become ready of those it has begun, and only then reads more. Calls that wait for
//! their provider hold up nobody: how many are under way has no bound here.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Waker};
use tokio::task::{spawn_local, yield_now};

/// Reads of one turn. Fewer, and the looks between them cost more than cold memory does.
pub(super) const READS: usize = 32;

/// A worker's turns. A clone is the same.
#[derive(Clone, Debug)]
pub struct Turns(Rc<State>);

#[derive(Debug)]
struct State {
    /// Reads that nobody has been promised.
    left: Cell<usize>,
    waiting: RefCell<VecDeque<Rc<Place>>>,
}

/// Where a connection stands.
#[derive(Debug, Default)]
pub struct Place {
    standing: Cell<Standing>,
    /// Of the task that asked last.
    waker: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Standing {
    #[default]
    Away,
    Waiting,
    Called,
}

impl Default for Turns {
    fn default() -> Self {
        Self(Rc::new(State { left: Cell::new(READS), waiting: RefCell::default() }))
    }
}

impl Turns {
    /// Whether the connection may read now. If not, its task is woken when it may: the first to wait is the first to be called.
    pub fn may_read(&self, place: &Rc<Place>, context: &Context<'_>) -> bool {
        match (place.standing.get(), self.0.left.get()) {
            (Standing::Called, _) => place.standing.set(Standing::Away),
            (Standing::Away, left @ 1..) => self.take(left),
            (standing, _) => {
                if let Standing::Away = standing {
                    place.standing.set(Standing::Waiting);
                    self.0.waiting.borrow_mut().push_back(Rc::clone(place));
                }
                place.waker.replace(Some(context.waker().clone()));
                return false;
            }
        }
        true
    }

    fn take(&self, left: usize) {
        self.0.left.set(left - 1);
        if left == 1 {
            spawn_local(Rc::clone(&self.0).next_turns());
        }
    }
}

impl State {
    /// Resumed when everything that is ready by now has had its turn, and what has become ready meanwhile is known.
    async fn next_turns(self: Rc<Self>) {
        while self.left.get() == 0 {
            yield_now().await;
            let mut waiting = self.waiting.borrow_mut();
            let called = waiting.len().min(READS);
            for place in waiting.drain(..called) {
                place.standing.set(Standing::Called);
                if let Some(waker) = place.waker.take() {
                    waker.wake();
                }
            }
            self.left.set(READS - called);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;

    /// A connection with something to read.
    #[derive(Default)]
    struct Reader {
        place: Rc<Place>,
        called: Arc<Flag>,
    }

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    impl Reader {
        fn reads(&self, turns: &Turns) -> bool {
            let waker = Waker::from(Arc::clone(&self.called));
            turns.may_read(&self.place, &Context::from_waker(&waker))
        }

        fn is_called(&self) -> bool {
            self.called.0.swap(false, Ordering::Relaxed)
        }
    }

    /// Waits for it to be called, and no longer.
    async fn call(reader: &Reader) {
        for _ in 0..10 {
            if reader.called.0.load(Ordering::Relaxed) {
                return;
            }
            yield_now().await;
        }
        panic!("never called");
    }

    fn readers(count: usize) -> Vec<Reader> {
        std::iter::repeat_with(Reader::default).take(count).collect()
    }

    fn count(readers: &[Reader], which: impl Fn(&Reader) -> bool) -> usize {
        readers.iter().filter(|reader| which(reader)).count()
    }

    #[actix_web::test]
    async fn a_turn_has_so_many_reads_and_who_waits_is_called_before_who_comes_later() {
        let (turns, crowd, late) = (Turns::default(), readers(3 * READS), Reader::default());
        let (first, rest) = crowd.split_at(READS);
        // Mutant: a worker that reads whatever is there lets all of them read.
        assert_eq!((count(first, |reader| reader.reads(&turns)), count(rest, |reader| reader.reads(&turns))), (READS, 0));
        let (second, third) = rest.split_at(READS);
        for turn in [second, third] {
            call(&turn[0]).await;
            assert!(!late.reads(&turns), "ahead of those who wait");
            assert_eq!((count(turn, Reader::is_called), count(rest, Reader::is_called)), (READS, 0));
            assert_eq!(count(turn, |reader| reader.reads(&turns)), READS);
        }
        call(&late).await;
        assert!(late.reads(&turns));
        assert_eq!(count(&crowd, |reader| reader.reads(&turns)), READS - 1, "what is left of the turn");
    }

    #[actix_web::test]
    async fn a_connection_that_ends_while_it_waits_holds_up_nobody() {
        let (turns, crowd) = (Turns::default(), readers(2 * READS));
        assert_eq!(count(&crowd, |reader| reader.reads(&turns)), READS);
        drop(crowd);
        let next = Reader::default();
        assert!(!next.reads(&turns));
        call(&next).await;
        assert!(next.reads(&turns));
    }
}
