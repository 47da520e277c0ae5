//! Those who came together should not be cut together: they would come again together, and who is served meanwhile would wait for
//! all of them (promise P4).

use std::time::Duration;

/// Of a deadline.
const LATER_MAX: f64 = 0.125;

/// A deadline for one of many: up to an eighth later.
pub fn spread(deadline: Duration) -> Duration {
    deadline + deadline.mul_f64(rand::random_range(0.0..LATER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_of_a_crowd_lie_apart_and_none_is_early() {
        let whole = Duration::from_secs(8);
        let deadlines: Vec<Duration> = (0..1_000).map(|_| spread(whole)).collect();
        assert!(deadlines.iter().all(|deadline| (whole..=whole + whole / 8).contains(deadline)));
        // Of an eighth of 8 seconds no tenth has more than a fifth of them.
        for tenth in 0..10 {
            let from = whole + tenth * Duration::from_millis(100);
            let within =
                deadlines.iter().filter(|&&deadline| (from..from + Duration::from_millis(100)).contains(&deadline)).count();
            assert!(within < 200, "{within} within a tenth of a second");
        }
    }
}
