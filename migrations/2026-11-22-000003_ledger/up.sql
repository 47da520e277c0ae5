-- Money. Amounts are integers of the account's asset: nano-dollars, or tokens.

CREATE TABLE accounts (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text        NOT NULL CHECK (kind IN ('user', 'debt', 'budget', 'revenue', 'grants', 'clearing', 'refunds')),
    asset      text        NOT NULL CHECK (asset IN ('usd', 'tokens')),
    -- Whose it is; NULL for a house account. No foreign key: history outlives the person.
    user_id    bigint,
    -- Which replica writes this house account; one row per replica, so that they serialise nobody.
    slot       int,
    -- The settled balance, and what open holds have reserved of it.
    posted     bigint      NOT NULL DEFAULT 0,
    held       bigint      NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT accounts_never_overspent CHECK (kind NOT IN ('user', 'budget') OR posted - held >= 0),
    CONSTRAINT accounts_held_not_negative CHECK (held >= 0),
    CONSTRAINT accounts_debt_is_owed CHECK (kind <> 'debt' OR posted <= 0),
    CONSTRAINT accounts_have_an_owner CHECK ((user_id IS NULL) <> (slot IS NULL))
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX accounts_of_user ON accounts (user_id, kind, asset) WHERE kind IN ('user', 'debt');
CREATE UNIQUE INDEX accounts_of_house ON accounts (slot, kind, asset) WHERE slot IS NOT NULL;

-- The running servers. A slot is taken under an advisory lock, so a slot that can be taken has no living owner.
CREATE TABLE instances (
    slot         int PRIMARY KEY,
    epoch        bigint      NOT NULL DEFAULT 0,
    name         text        NOT NULL,
    started_at   timestamptz NOT NULL,
    heartbeat_at timestamptz NOT NULL
);

-- One row per hold, and the proof that its id had one effect. 0 open, 1 settled, 2 released, 3 expired, 4 refused.
CREATE TABLE holds (
    id                uuid PRIMARY KEY,
    -- No foreign keys on the hot path: `ledger verify` proves that the accounts are there.
    account_id        bigint      NOT NULL,
    -- A key's own budget, reserved together with the user's balance.
    budget_account_id bigint,
    -- What was asked for, and what was granted of it.
    asked             bigint      NOT NULL CHECK (asked >= 0),
    amount            bigint      NOT NULL CHECK (amount >= 0 AND amount <= asked),
    state             smallint    NOT NULL CHECK (state BETWEEN 0 AND 4),
    slot              int         NOT NULL,
    -- What the settle asked for, and how much of it is still owed.
    charged           bigint,
    debt              bigint,
    created_at        timestamptz NOT NULL,
    expires_at        timestamptz NOT NULL,
    closed_at         timestamptz,
    CONSTRAINT holds_closed_once CHECK ((state IN (0, 4)) = (closed_at IS NULL)),
    CONSTRAINT holds_settled_have_a_charge CHECK ((state = 1) = (charged IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX holds_open ON holds (expires_at) WHERE state = 0;

-- Every other operation (grant, credit, debit): the same id with the same body answers the same.
CREATE TABLE operations (
    id            uuid PRIMARY KEY,
    kind          text        NOT NULL,
    body_hash     bytea       NOT NULL,
    -- The answer: the balance after it.
    credits_after bigint      NOT NULL,
    held_after    bigint      NOT NULL,
    debt_after    bigint      NOT NULL,
    slot          int         NOT NULL,
    batch         bigint      NOT NULL,
    created_at    timestamptz NOT NULL
);

CREATE TABLE transfers (
    created_at     timestamptz NOT NULL,
    -- Where it stands in its writer's chain.
    slot           int         NOT NULL,
    batch          bigint      NOT NULL,
    ordinal        int         NOT NULL,
    kind           text        NOT NULL,
    debit_account  bigint      NOT NULL,
    credit_account bigint      NOT NULL,
    amount         bigint      NOT NULL CHECK (amount > 0),
    -- The hold or the operation that moved it, and whose history shows it.
    reference      uuid        NOT NULL,
    user_id        bigint      NOT NULL,
    balance_after  bigint      NOT NULL,
    description    text        NOT NULL DEFAULT '',
    CONSTRAINT transfers_have_two_sides CHECK (debit_account <> credit_account)
) PARTITION BY RANGE (created_at);
-- Calls are listed from usage_records; only what is not a call is looked up here.
CREATE INDEX transfers_of_user ON transfers (user_id, created_at DESC) WHERE kind <> 'api_usage';

-- One row per settled hold, written in the settle's own statement.
CREATE TABLE usage_records (
    created_at        timestamptz NOT NULL,
    slot              int         NOT NULL,
    batch             bigint      NOT NULL,
    ordinal           int         NOT NULL,
    hold_id           uuid        NOT NULL,
    user_id           bigint      NOT NULL,
    api_key_id        bigint      NOT NULL,
    model             text        NOT NULL,
    gateway           text        NOT NULL,
    prompt_tokens     bigint      NOT NULL,
    completion_tokens bigint      NOT NULL,
    cache_read_tokens bigint      NOT NULL,
    cache_write_tokens bigint     NOT NULL,
    reasoning_tokens  bigint      NOT NULL,
    cost              bigint      NOT NULL,
    balance_after     bigint      NOT NULL,
    latency_ms        int         NOT NULL,
    -- The tokens were counted here, because the answer did not say.
    estimated         boolean     NOT NULL,
    streamed          boolean     NOT NULL,
    finish_reason     text        NOT NULL
) PARTITION BY RANGE (created_at);
CREATE INDEX usage_records_of_user ON usage_records (user_id, created_at DESC);

-- One link per committed batch: hash = SHA-256(previous hash, every transfer and usage record of the batch).
CREATE TABLE ledger_batches (
    slot          int         NOT NULL,
    batch         bigint      NOT NULL,
    previous_hash bytea       NOT NULL,
    hash          bytea       NOT NULL,
    transfers     int         NOT NULL,
    usage_records int         NOT NULL,
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (slot, batch)
);

-- Stops a statement whose assumptions did not hold; the writer then reads under lock and decides anew.
CREATE FUNCTION ledger_require(ok boolean) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF ok IS NOT TRUE THEN
        RAISE EXCEPTION 'ledger_stale';
    END IF;
    RETURN true;
END $$;

CREATE FUNCTION history_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: history is append-only', TG_OP, TG_TABLE_NAME;
END $$;

CREATE TRIGGER transfers_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers
    FOR EACH STATEMENT EXECUTE FUNCTION history_is_final();
CREATE TRIGGER usage_records_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON usage_records
    FOR EACH STATEMENT EXECUTE FUNCTION history_is_final();
CREATE TRIGGER ledger_batches_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_batches
    FOR EACH STATEMENT EXECUTE FUNCTION history_is_final();
CREATE TRIGGER operations_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON operations
    FOR EACH STATEMENT EXECUTE FUNCTION history_is_final();

-- A month's partitions of the history, for the month of the given time and the two after it. Called at every start
-- and once a day; runs as the owner, because the application may not create tables. A default partition catches
-- what no month has, so that a settle is never refused for want of one.
CREATE FUNCTION ensure_history_partitions(at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    parent text;
    first_day timestamptz;
    part text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['transfers', 'usage_records'] LOOP
        FOR ahead IN 0..2 LOOP
            first_day := (date_trunc('month', at AT TIME ZONE 'UTC') + make_interval(months => ahead)) AT TIME ZONE 'UTC';
            part := parent || '_' || to_char(first_day AT TIME ZONE 'UTC', 'YYYY_MM');
            IF to_regclass(part) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', part, parent, first_day,
                    (date_trunc('month', first_day AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC');
                EXECUTE format('CREATE TRIGGER %I BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
                    FOR EACH STATEMENT EXECUTE FUNCTION history_is_final()', part || '_is_final', part);
            END IF;
        END LOOP;
    END LOOP;
END $$;

CREATE TABLE transfers_default PARTITION OF transfers DEFAULT;
CREATE TABLE usage_records_default PARTITION OF usage_records DEFAULT;
CREATE TRIGGER transfers_default_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers_default
    FOR EACH STATEMENT EXECUTE FUNCTION history_is_final();
CREATE TRIGGER usage_records_default_is_final BEFORE UPDATE OR DELETE OR TRUNCATE ON usage_records_default
    FOR EACH STATEMENT EXECUTE FUNCTION history_is_final();
SELECT ensure_history_partitions(now());
