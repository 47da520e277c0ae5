//! Bursts: a bucket that holds `burst` requests, starts full, and refills at `burst`/60 per second.

/// One request. The bucket then refills by `burst` units each millisecond, so all sums are whole.
const REQUEST: i64 = 60_000;
/// In this time an empty bucket is full.
const FULL_AFTER_MS: i64 = 60_000;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bucket {
    /// What is missing to a full bucket; so it stays right when the limit changes.
    missing: i64,
    filled_ms: i64,
}

impl Bucket {
    /// Time until a request fits; `None` when it fits now.
    pub fn wait_ms(&self, burst: i64, now_ms: i64) -> Option<i64> {
        let lacking = self.missing_at(burst, now_ms).saturating_add(REQUEST).saturating_sub(burst.saturating_mul(REQUEST));
        if lacking <= 0 {
            return None;
        }
        // A bucket of size 0 never has room.
        Some(if burst > 0 { lacking.div_euclid(burst) + i64::from(lacking.rem_euclid(burst) > 0) } else { FULL_AFTER_MS })
    }

    pub fn take(&mut self, burst: i64, now_ms: i64) {
        self.missing = self.missing_at(burst, now_ms).saturating_add(REQUEST);
        self.filled_ms = self.filled_ms.max(now_ms);
    }

    fn missing_at(&self, burst: i64, now_ms: i64) -> i64 {
        let elapsed_ms = now_ms.saturating_sub(self.filled_ms).clamp(0, FULL_AFTER_MS);
        self.missing.saturating_sub(burst.saturating_mul(elapsed_ms)).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &mut Bucket, burst: i64, now_ms: i64) -> u32 {
        let mut count = 0;
        while bucket.wait_ms(burst, now_ms).is_none() {
            bucket.take(burst, now_ms);
            count += 1;
        }
        count
    }

    #[test]
    fn a_full_bucket_holds_the_burst_and_refills_within_a_minute() {
        let (mut bucket, start) = (Bucket::default(), 1_800_000_000_000);
        assert_eq!(taken(&mut bucket, 60, start), 60);
        assert_eq!(bucket.wait_ms(60, start), Some(1_000));
        assert_eq!(taken(&mut bucket, 60, start + 999), 0);
        assert_eq!(taken(&mut bucket, 60, start + 1_000), 1);
        assert_eq!(taken(&mut bucket, 60, start + 11_000), 10);
        assert_eq!(taken(&mut bucket, 60, start + 600_000), 60, "never more than the burst");
    }

    #[test]
    fn a_bucket_without_room_has_none_and_a_larger_one_has_it_at_once() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.wait_ms(0, 1), Some(60_000));
        assert_eq!(taken(&mut bucket, 7, 1), 7);
        assert_eq!(bucket.wait_ms(7, 1), Some(8_572), "a seventh of a minute, rounded up");
        assert_eq!(taken(&mut bucket, 10, 1), 3, "what is missing is kept");
        assert_eq!(bucket.wait_ms(1_000_000_000_000, 2), None, "the largest limit does not overflow");
    }
}
