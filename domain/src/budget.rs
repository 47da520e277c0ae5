//! What a key may spend, and from when to when.

use crate::Nanos;
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Utc};

/// After what time a budget is full again. Periods begin at midnight UTC, weeks on Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetPeriod {
    Daily,
    Weekly,
    Monthly,
    /// Never.
    Total,
}

impl BudgetPeriod {
    pub const ALL: [Self; 4] = [Self::Daily, Self::Weekly, Self::Monthly, Self::Total];

    /// As in requests, answers and `api_keys.budget_period`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Total => "total",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.as_str() == text)
    }

    /// The first day of the period that has this day, and of the next one. `None`: there is but one period.
    fn days(self, day: NaiveDate) -> Option<(NaiveDate, Option<NaiveDate>)> {
        match self {
            Self::Daily => Some((day, day.succ_opt())),
            Self::Weekly => {
                let monday = day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into())).unwrap_or(day);
                Some((monday, monday.checked_add_days(Days::new(7))))
            }
            Self::Monthly => {
                let first = day.with_day(1).unwrap_or(day);
                Some((first, first.checked_add_months(Months::new(1))))
            }
            Self::Total => None,
        }
    }
}

/// What a key may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub limit: Nanos,
    pub period: BudgetPeriod,
    /// When it was set, or its period changed: what was spent before does not count.
    pub since: DateTime<Utc>,
}

/// One period of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetWindow {
    /// With the key this is the period's name.
    pub starts_at: DateTime<Utc>,
    /// When the budget is full again. `None`: never.
    pub ends_at: Option<DateTime<Utc>>,
}

impl Budget {
    /// The period that is now.
    #[must_use]
    pub fn window(&self, now: DateTime<Utc>) -> BudgetWindow {
        let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
        match self.period.days(now.date_naive()) {
            // One that was set in the middle of a period has a short first one.
            Some((first, next)) => BudgetWindow { starts_at: midnight(first).max(self.since), ends_at: next.map(midnight) },
            None => BudgetWindow { starts_at: self.since, ends_at: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    fn window(period: BudgetPeriod, now: &str) -> (String, Option<String>) {
        let budget = Budget { limit: Nanos(1), period, since: at("2025-01-01T12:00:00Z") };
        let BudgetWindow { starts_at, ends_at } = budget.window(at(now));
        let text = |time: DateTime<Utc>| time.format("%F %T").to_string();
        (text(starts_at), ends_at.map(text))
    }

    #[test]
    fn periods_begin_at_midnight_on_monday_and_on_the_first() {
        use BudgetPeriod::{Daily, Monthly, Total, Weekly};
        let cases = [
            (Daily, "2026-03-01T00:00:00Z", "2026-03-01", Some("2026-03-02")),
            (Daily, "2026-02-28T23:59:59.999999Z", "2026-02-28", Some("2026-03-01")),
            (Weekly, "2026-03-01T23:59:59Z", "2026-02-23", Some("2026-03-02")),
            (Weekly, "2026-03-02T00:00:00Z", "2026-03-02", Some("2026-03-09")),
            (Monthly, "2026-12-31T23:59:59Z", "2026-12-01", Some("2027-01-01")),
            (Monthly, "2028-02-29T12:00:00Z", "2028-02-01", Some("2028-03-01")),
        ];
        for (period, now, starts_at, ends_at) in cases {
            let midnight = |day: &str| format!("{day} 00:00:00");
            assert_eq!(window(period, now), (midnight(starts_at), ends_at.map(midnight)), "{period:?} {now}");
        }
        assert_eq!(window(Total, "2026-03-01T00:00:00Z"), ("2025-01-01 12:00:00".to_owned(), None));
    }

    #[test]
    fn a_budget_that_is_set_in_the_middle_of_a_period_begins_there() {
        let begun = ("2025-01-01 12:00:00".to_owned(), Some("2025-01-02 00:00:00".to_owned()));
        assert_eq!(window(BudgetPeriod::Daily, "2025-01-01T23:00:00Z"), begun);
        assert_eq!(window(BudgetPeriod::Daily, "2025-01-02T00:00:00Z").0, "2025-01-02 00:00:00");
    }

    #[test]
    fn a_period_is_known_by_its_name() {
        for period in BudgetPeriod::ALL {
            assert_eq!(BudgetPeriod::parse(period.as_str()), Some(period));
        }
        assert_eq!(BudgetPeriod::parse("Daily"), None);
    }
}
