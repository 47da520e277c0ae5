//! What one key, or one user over all keys, uses.

use super::bucket::Bucket;
use super::window::{Use, Window, WindowKind};
use tollgate_store::limit_counters::{CounterRow, Subject};

#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    pub minute: Window,
    pub hour: Window,
    pub day: Window,
    pub month: Window,
    /// Of keys only.
    pub bucket: Bucket,
    /// Calls under way.
    pub under_way: i64,
    pub seen_ms: i64,
    /// When the table was last heard of.
    pub synced_ms: i64,
    /// Counts what was heard of the table, so that an older reading is known as such.
    pub version: u64,
}

impl Tally {
    pub fn new(now_ms: i64) -> Self {
        let now_s = now_ms.div_euclid(1_000);
        let window = |kind| Window::new(kind, now_s);
        Self {
            minute: window(WindowKind::Minute),
            hour: window(WindowKind::Hour),
            day: window(WindowKind::Day),
            month: window(WindowKind::Month),
            bucket: Bucket::default(),
            under_way: 0,
            seen_ms: now_ms,
            synced_ms: now_ms,
            version: 0,
        }
    }

    pub fn roll(&mut self, now_ms: i64) {
        let now_s = now_ms.div_euclid(1_000);
        self.minute.roll(WindowKind::Minute, now_s);
        self.hour.roll(WindowKind::Hour, now_s);
        self.day.roll(WindowKind::Day, now_s);
        self.month.roll(WindowKind::Month, now_s);
    }

    /// A call takes its place among those under way.
    pub fn begin(&mut self, now_ms: i64) {
        self.under_way += 1;
        self.seen_ms = now_ms;
    }

    /// Counts a call.
    pub fn count(&mut self, tokens: i64) {
        self.each(|window| window.add(Use { requests: 1, tokens }));
    }

    /// What was counted at that moment was so many tokens too much, or too few.
    pub fn correct(&mut self, tokens_too_many: i64, counted_s: i64) {
        self.each(|window| window.take_back(Use { requests: 0, tokens: tokens_too_many }, counted_s));
    }

    /// A call came to nothing: its tokens go back, and its request out of the allowances (day, month). What guards the
    /// server (minute, hour) keeps the request.
    pub fn release(&mut self, tokens: i64, counted_s: i64) {
        self.correct(tokens, counted_s);
        for window in [&mut self.day, &mut self.month] {
            window.take_back(Use { requests: 1, tokens: 0 }, counted_s);
        }
    }

    pub fn end(&mut self) {
        self.under_way -= 1;
    }

    pub fn has_fresh(&self) -> bool {
        self.minute.has_fresh() || self.hour.has_fresh() || self.day.has_fresh() || self.month.has_fresh()
    }

    /// Nothing would be lost if it were forgotten.
    pub fn is_idle(&self, seen_before_ms: i64) -> bool {
        let all = [&self.minute, &self.hour, &self.day, &self.month];
        self.under_way == 0 && self.seen_ms < seen_before_ms && all.into_iter().all(Window::is_saved)
    }

    /// The fresh part goes to the table.
    pub fn send(&mut self, subject: Subject) -> CounterRow {
        let windows = [self.minute.send(), self.hour.send(), self.day.send(), self.month.send()];
        CounterRow { subject, windows }
    }

    /// What was on its way has arrived.
    pub fn arrived(&mut self, total: &CounterRow, now_ms: i64) {
        let [minute, hour, day, month] = &total.windows;
        self.minute.arrived(minute);
        self.hour.arrived(hour);
        self.day.arrived(day);
        self.month.arrived(month);
        self.synced(now_ms);
    }

    /// What the table has.
    pub fn learn(&mut self, total: &CounterRow) {
        let [minute, hour, day, month] = &total.windows;
        self.minute.learn(minute);
        self.hour.learn(hour);
        self.day.learn(day);
        self.month.learn(month);
    }

    pub fn synced(&mut self, now_ms: i64) {
        self.synced_ms = now_ms;
        self.version += 1;
    }

    fn each(&mut self, mut change: impl FnMut(&mut Window)) {
        change(&mut self.minute);
        change(&mut self.hour);
        change(&mut self.day);
        change(&mut self.month);
    }
}
