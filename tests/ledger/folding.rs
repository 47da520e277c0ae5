//! The totals of credits are the history, whatever a call cost and whoever paid for it.

use crate::house::{House, TurnedClock, grant, hold_of, new_accounts, record};
use tollgate_actors::ledger::{Asset, UserAccounts};
use tollgate_domain::Nanos;
use tollgate_store::transactions;
use tollgate_test_database::TestDatabase;

/// What it left owing.
async fn call(house: &House, user: UserAccounts, held: i64, cost: i64) -> i64 {
    let ticket = house.ledger.hold(hold_of(user, held)).unwrap().confirm().await.expect("there is enough");
    ticket.settle(record(cost)).await.expect("it is charged").debt.0
}

/// Count and sum of calls (with repayments of what they left owing), then of grants.
async fn totals(house: &House, user: UserAccounts) -> Vec<(i64, i64)> {
    let mut totals = transactions::totals(&house.store, user.user, user.credits).await.unwrap();
    totals.sort_by(|one, other| other.kind.cmp(&one.kind));
    totals.into_iter().map(|total| (total.count, total.amount)).collect()
}

// Mutants, each red: without the calls that cost nothing; without those that are owed in whole; with each call that owes something
// counted again; with transfers, or records, of any slot.
#[actix_rt::test]
async fn free_calls_paid_calls_and_calls_that_are_owed_in_part_and_in_whole_are_folded_as_history_has_them() {
    let database = TestDatabase::create().await;
    let clock = TurnedClock::new();
    let (house, replica) = (House::on(&database, &clock).await, House::on(&database, &clock).await);
    for asset in [Asset::Usd, Asset::Tokens] {
        let (user, other) = (new_accounts(&database, asset).await, new_accounts(&database, asset).await);
        house.ledger.credit(grant(user, Nanos(100))).await.unwrap();
        house.ledger.credit(grant(other, Nanos(50))).await.unwrap();
        assert_eq!(call(&house, user, 10, 0).await, 0);
        assert_eq!(call(&replica, user, 10, 30).await, 0);
        assert_eq!(call(&house, other, 20, 20).await, 0);
        house.fold().await;
        assert_eq!(call(&house, user, 10, 200).await, 130, "owed in part");
        assert_eq!(call(&replica, user, 0, 7).await, 7, "owed in whole");
        assert_eq!(call(&replica, user, 0, 0).await, 0);
        let owing = vec![(5, -100), (1, 100)];
        assert_eq!(totals(&house, user).await, owing, "not folded yet");
        house.fold().await;
        assert_eq!(totals(&house, user).await, owing);
        house.ledger.credit(grant(user, Nanos(150))).await.unwrap();
        house.fold().await;
        assert_eq!(totals(&house, user).await, [(6, -237), (2, 250)], "the debt of 137 is repaid");
        assert_eq!(totals(&house, other).await, [(1, -20), (1, 50)]);
        assert_eq!(house.balance(user).await.credits, Nanos(13));
    }
    let kept = database.connect().await;
    let counts = "SELECT (SELECT sum(count)::bigint FROM transaction_totals), (SELECT count(*) FROM account_movements)";
    let row = kept.query_one(counts, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (20, 20), "all of it is folded");
    house.assert_clean().await;
}
