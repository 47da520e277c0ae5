//! Random changes to the books, as a superuser with the triggers switched off can make them.

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use tokio_postgres::Client;

/// The tables of the ledger, and what orders their rows.
pub const TABLES: [(&str, &str); 7] = [
    ("accounts", "id"),
    ("holds", "id"),
    ("operations", "id"),
    ("transfers", "slot, batch, ordinal"),
    ("usage_records", "slot, batch, ordinal"),
    ("ledger_batches", "slot, batch"),
    ("key_budgets", "account_id"),
];
const HISTORY: [usize; 4] = [2, 3, 4, 5];

/// One change, as SQL that may also fail a CHECK.
pub async fn some_tampering(client: &Client, dice: &mut StdRng) -> String {
    match dice.random_range(0..16) {
        0..4 => change_of_a_column(client, dice).await,
        4..6 => deletion(client, dice).await,
        6 => insertion(client, dice).await,
        7 => swap(client, dice).await,
        8 => cut_of_the_tail(client, dice).await,
        9..12 => change_of_an_account(client, dice).await,
        12..14 => change_of_a_budget(client, dice).await,
        _ => change_of_a_hold(client, dice).await,
    }
}

fn some_history(dice: &mut StdRng) -> (&'static str, &'static str) {
    TABLES[*HISTORY.choose(dice).unwrap()]
}

/// A condition that one row of the table fulfils, whichever partition it is in.
async fn some_row(client: &Client, (table, order): (&str, &str), dice: &mut StdRng) -> String {
    some_row_where(client, (table, order), "true", dice).await
}

async fn some_row_where(client: &Client, (table, order): (&str, &str), which: &str, dice: &mut StdRng) -> String {
    let count: i64 = client.query_one(&format!("SELECT count(*) FROM {table} WHERE {which}"), &[]).await.unwrap().get(0);
    let skip = dice.random_range(0..count);
    format!("(t.tableoid, t.ctid) = (SELECT tableoid, ctid FROM {table} WHERE {which} ORDER BY {order} OFFSET {skip} LIMIT 1)")
}

/// Any column of any history table, to another value of its type.
async fn change_of_a_column(client: &Client, dice: &mut StdRng) -> String {
    let history = some_history(dice);
    let changes = changes_of_columns(client, history.0, dice.random_range(1..4)).await;
    format!("UPDATE {} t SET {} WHERE {}", history.0, changes.choose(dice).unwrap(), some_row(client, history, dice).await)
}

/// Every column of any history table, in one of its rows, to another value of its type.
pub async fn changes_of_all_columns(client: &Client, dice: &mut StdRng) -> Vec<String> {
    let mut all = Vec::new();
    for history in HISTORY.map(|table| TABLES[table]) {
        for change in changes_of_columns(client, history.0, 1).await {
            all.push(format!("UPDATE {} t SET {change} WHERE {}", history.0, some_row(client, history, dice).await));
        }
    }
    all
}

async fn changes_of_columns(client: &Client, table: &str, more: i32) -> Vec<String> {
    let columns = "SELECT column_name, data_type FROM information_schema.columns
         WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position";
    let columns = client.query(columns, &[&table]).await.unwrap();
    columns.iter().map(|column| change(column.get(0), column.get(1), more)).collect()
}

fn change(name: &str, kind: &str, more: i32) -> String {
    let other = match kind {
        "bigint" | "integer" => format!("coalesce({name}, 0) + {more}"),
        "text" => format!("{name} || 'x'"),
        "uuid" => "gen_random_uuid()".to_owned(),
        "timestamp with time zone" => format!("{name} + interval '{more} microseconds'"),
        "boolean" => format!("NOT {name}"),
        "bytea" => format!("set_byte({name}, {more}, (get_byte({name}, {more}) + 1) % 256)"),
        other => panic!("a column of type {other}"),
    };
    format!("{name} = {other}")
}

async fn deletion(client: &Client, dice: &mut StdRng) -> String {
    let history = some_history(dice);
    format!("DELETE FROM {} t WHERE {}", history.0, some_row(client, history, dice).await)
}

/// A row once more, in its own batch or in one of the future.
async fn insertion(client: &Client, dice: &mut StdRng) -> String {
    let (table, order) = some_history(dice);
    let row = some_row(client, (table, order), dice).await;
    let elsewhere = dice.random_range(0..2) * 1_000;
    let change = match table {
        "operations" => "id = gen_random_uuid(), batch = batch +".to_owned(),
        "ledger_batches" => "batch = 1 + batch +".to_owned(),
        _ => "ordinal = 7, batch = batch +".to_owned(),
    };
    format!(
        "CREATE TEMP TABLE copy ON COMMIT DROP AS SELECT * FROM {table} t WHERE {row};
         UPDATE copy SET {change} {elsewhere}; INSERT INTO {table} SELECT * FROM copy"
    )
}

/// Two rows change places, or two neighbours their amounts.
async fn swap(client: &Client, dice: &mut StdRng) -> String {
    let (table, amount) = if dice.random() { ("transfers", "amount") } else { ("usage_records", "cost") };
    let columns = if dice.random() { "batch, ordinal" } else { amount };
    let first = some_row(client, (table, "slot, batch, ordinal"), dice).await;
    // Without another row that differs, the division fails.
    format!(
        "CREATE TEMP TABLE first ON COMMIT DROP AS SELECT t.tableoid AS part, t.ctid AS at, t.* FROM {table} t WHERE {first};
         CREATE TEMP TABLE second ON COMMIT DROP AS SELECT t.tableoid AS part, t.ctid AS at, t.* FROM {table} t, first f
             WHERE t.slot = f.slot AND t.{amount} <> f.{amount} LIMIT 1;
         SELECT 1 / count(*) FROM second;
         UPDATE {table} t SET ({columns}) = (SELECT {columns} FROM second) FROM first f
             WHERE (t.tableoid, t.ctid) = (f.part, f.at);
         UPDATE {table} t SET ({columns}) = (SELECT {columns} FROM first) FROM second s
             WHERE (t.tableoid, t.ctid) = (s.part, s.at)"
    )
}

/// Everything from some batch on is gone, and balances and holds are put right: only the anchor knows.
async fn cut_of_the_tail(client: &Client, dice: &mut StdRng) -> String {
    let slot: i32 = dice.random_range(1..3);
    let last = "SELECT max(batch) FROM ledger_batches WHERE slot = $1";
    let last: i64 = client.query_one(last, &[&slot]).await.unwrap().get(0);
    let cut = dice.random_range(1..=last);
    let gone = format!("slot = {slot} AND batch >= {cut}");
    format!(
        "DELETE FROM holds WHERE id IN (SELECT hold_id FROM usage_records WHERE {gone});
         DELETE FROM transfers WHERE {gone}; DELETE FROM usage_records WHERE {gone};
         DELETE FROM operations WHERE {gone}; DELETE FROM ledger_batches WHERE {gone};
         ALTER TABLE accounts DROP CONSTRAINT IF EXISTS accounts_never_overspent, DROP CONSTRAINT IF EXISTS accounts_debt_is_owed;
         UPDATE accounts a SET posted = coalesce((SELECT sum(CASE WHEN t.credit_account = a.id THEN t.amount ELSE -t.amount END)
             FROM transfers t WHERE a.id IN (t.credit_account, t.debit_account)), 0);
         UPDATE accounts a SET posted = b.limit_nanos - coalesce((SELECT sum(charged) FROM holds
             WHERE budget_account_id = a.id), 0) FROM key_budgets b WHERE b.account_id = a.id"
    )
}

/// Its balance, its owner, or that it is there at all.
async fn change_of_an_account(client: &Client, dice: &mut StdRng) -> String {
    let by = dice.random_range(1..5);
    let (which, change) = match dice.random_range(0..4) {
        0 => ("kind = 'user' AND posted > held + 5", format!("posted = posted + {by}")),
        1 => ("kind = 'user' AND posted > held + 5", format!("held = held + {by}")),
        // Of a user who has paid or owed something.
        2 => ("kind = 'user' AND posted > 0", format!("user_id = user_id + {by}000")),
        // Debts that were made and repaid: their transfers add up to nothing.
        _ => {
            let row = some_row_where(client, TABLES[0], "kind = 'debt' AND posted = 0 AND user_id < 7", dice).await;
            return format!("DELETE FROM accounts t WHERE {row}");
        }
    };
    format!("UPDATE accounts t SET {change} WHERE {}", some_row_where(client, TABLES[0], which, dice).await)
}

/// What is left of it, whose it is, its limit, and what was held in it.
async fn change_of_a_budget(client: &Client, dice: &mut StdRng) -> String {
    let by = dice.random_range(1..5);
    let (table, which, change) = match dice.random_range(0..8) {
        0 => (0, "kind = 'budget'", format!("posted = posted + {by}")),
        1 => (0, "kind = 'budget'", format!("held = held - {by}")),
        2 => (0, "kind = 'budget'", format!("user_id = user_id + {by}000")),
        3 => (6, "true", format!("limit_nanos = limit_nanos + {by}")),
        4 => (6, "true", format!("api_key_id = api_key_id + {by}")),
        5 => (1, "state = 0 AND budget_account_id IS NOT NULL", "budget_account_id = NULL".to_owned()),
        6 => (1, "state = 1 AND budget_account_id IS NOT NULL", "budget_account_id = NULL".to_owned()),
        _ => (1, "state IN (0, 1) AND budget_account_id IS NOT NULL", format!("budget_account_id = budget_account_id + {by}")),
    };
    format!("UPDATE {} t SET {change} WHERE {}", TABLES[table].0, some_row_where(client, TABLES[table], which, dice).await)
}

/// Everything about a hold that money hangs on.
async fn change_of_a_hold(client: &Client, dice: &mut StdRng) -> String {
    let (which, change) = *[
        ("state = 1", "charged = charged + 1"),
        ("state = 1", "debt = debt + 1"),
        ("state = 1 AND charged > debt", "account_id = account_id + 2"),
        ("state = 1", "state = 2, charged = NULL"),
        ("state = 1", "state = 0, charged = NULL, closed_at = NULL"),
        ("state = 2", "state = 1, charged = 0"),
        ("state = 2", "state = 0, closed_at = NULL"),
        ("state = 0", "state = 2, closed_at = now()"),
        ("state = 0", "state = 1, charged = 5, closed_at = now()"),
        ("state = 0", "amount = amount - 1"),
        ("state = 0", "account_id = account_id + 2"),
    ]
    .choose(dice)
    .unwrap();
    let row = some_row_where(client, TABLES[1], which, dice).await;
    format!("UPDATE holds t SET {change} WHERE {row}")
}
