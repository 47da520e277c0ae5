//! Which days a page of the log stands in, told by their counts. `days` are newest first and have rows, each of them.

use tollgate_store::activity::{DayCount, LogPosition};

/// The days of `rows` rows from the `offset`th on, and the offset within them; no days past the end.
pub(super) fn numbered(days: &[DayCount], offset: i64, rows: i64) -> (Vec<DayCount>, i64) {
    let (mut found, mut before, mut within) = (Vec::new(), 0_i64, 0);
    for count in days {
        let end = before.saturating_add(count.entries);
        if end > offset && before < offset.saturating_add(rows) {
            if found.is_empty() {
                within = offset.saturating_sub(before);
            }
            found.push(*count);
        }
        before = end;
    }
    (found, within)
}

/// The days of `rows` rows after the position. Its own day may have none left: the days before it make up for all of them.
pub(super) fn following(days: &[DayCount], position: LogPosition, rows: i64) -> Vec<DayCount> {
    let own = position.at.date_naive();
    let (mut found, mut older) = (Vec::new(), 0_i64);
    for count in days.iter().filter(|count| count.day <= own) {
        if older >= rows {
            break;
        }
        found.push(*count);
        if count.day < own {
            older = older.saturating_add(count.entries);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDate;

    fn day(of_month: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2025, 1, of_month).unwrap()
    }

    fn days() -> [DayCount; 3] {
        [(9, 3), (7, 1), (5, 10)].map(|(of_month, entries)| {
            let at = day(of_month).and_hms_opt(12, 0, 0).unwrap().and_utc();
            DayCount { day: day(of_month), entries, first_at: at, last_at: at }
        })
    }

    fn dates(days: Vec<DayCount>) -> Vec<NaiveDate> {
        days.into_iter().map(|count| count.day).collect()
    }

    #[test]
    fn a_page_is_looked_for_in_its_own_days() {
        let of = |offset, rows| {
            let (days, within) = numbered(&days(), offset, rows);
            (dates(days), within)
        };
        assert_eq!(of(0, 2), (vec![day(9)], 0));
        assert_eq!(of(0, 3), (vec![day(9)], 0));
        assert_eq!(of(0, 4), (vec![day(9), day(7)], 0));
        assert_eq!(of(2, 3), (vec![day(9), day(7), day(5)], 2));
        assert_eq!(of(3, 1), (vec![day(7)], 0));
        assert_eq!(of(13, 100), (vec![day(5)], 9));
        assert_eq!(of(14, 1), (vec![], 0));
        assert_eq!(numbered(&[], 0, 1), (vec![], 0));
    }

    #[test]
    fn what_follows_is_looked_for_in_as_many_days_as_it_can_stand_in() {
        let of = |of_month, rows| {
            let at = day(of_month).and_hms_opt(12, 0, 0).unwrap().and_utc();
            dates(following(&days(), LogPosition { at, id: 1 }, rows))
        };
        assert_eq!(of(10, 3), [day(9)]);
        // Mutant: counting the position's own day, too, leaves the 5th out.
        assert_eq!(of(9, 2), [day(9), day(7), day(5)]);
        assert_eq!(of(9, 1), [day(9), day(7)]);
        assert_eq!(of(8, 1), [day(7)]);
        assert_eq!(of(5, 100), [day(5)]);
        assert!(of(4, 1).is_empty());
    }
}
