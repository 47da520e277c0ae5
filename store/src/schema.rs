// The migrated database as diesel's types. `deploy/dev/check_schema.py` holds it against the database.

diesel::table! {
    accounts (id) {
        id -> Int8,
        kind -> Text,
        asset -> Text,
        user_id -> Nullable<Int8>,
        slot -> Nullable<Int4>,
        posted -> Int8,
        held -> Int8,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    activity_batches (id) {
        id -> Uuid,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    activity_daily (user_id, day, api_key_id, action, model, provider) {
        user_id -> Int8,
        day -> Date,
        api_key_id -> Int8,
        model -> Text,
        provider -> Text,
        entries -> Int8,
        requests -> Int8,
        prompt_tokens -> Int8,
        completion_tokens -> Int8,
        cost -> Int8,
        #[max_length = 100]
        action -> Varchar,
        first_at -> Timestamptz,
        last_at -> Timestamptz,
    }
}

diesel::table! {
    activity_events (id) {
        id -> Int8,
        user_id -> Int8,
        #[max_length = 100]
        action -> Varchar,
        details -> Jsonb,
        created_at -> Timestamptz,
        model -> Text,
        provider -> Text,
    }
}

diesel::table! {
    activity_folds (slot) {
        slot -> Int4,
        batch -> Int8,
        folded_at -> Timestamptz,
    }
}

diesel::table! {
    activity_totals (api_key_id) {
        api_key_id -> Int8,
        user_id -> Int8,
        requests -> Int8,
        prompt_tokens -> Int8,
        completion_tokens -> Int8,
        cost -> Int8,
        last_request_at -> Timestamptz,
    }
}

diesel::table! {
    api_key_audit_logs (id) {
        id -> Int8,
        user_id -> Nullable<Int8>,
        api_key_id -> Nullable<Int8>,
        action -> Text,
        details -> Jsonb,
        timestamp -> Timestamptz,
        actor -> Text,
        salt -> Nullable<Uuid>,
    }
}

diesel::table! {
    api_keys (id) {
        id -> Int8,
        user_id -> Int8,
        key_hash -> Bytea,
        pepper_version -> Int2,
        #[max_length = 20]
        masked -> Varchar,
        last4 -> Bpchar,
        #[max_length = 255]
        key_name -> Varchar,
        #[max_length = 20]
        environment_tag -> Varchar,
        is_primary -> Bool,
        is_active -> Bool,
        scope_permissions -> Jsonb,
        ip_allowlist -> Array<Text>,
        domain_referrers -> Array<Text>,
        model_allowlist -> Array<Text>,
        expiration_date -> Nullable<Timestamptz>,
        max_requests -> Nullable<Int8>,
        requests_used -> Int8,
        last_used_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        previous_key_hash -> Nullable<Bytea>,
        #[max_length = 20]
        previous_masked -> Nullable<Varchar>,
        previous_last4 -> Nullable<Bpchar>,
        previous_expires_at -> Nullable<Timestamptz>,
        rotated_at -> Nullable<Timestamptz>,
        budget_nanos -> Nullable<Int8>,
        budget_period -> Nullable<Text>,
        budget_since -> Nullable<Timestamptz>,
        is_session -> Bool,
    }
}

diesel::table! {
    audit_links (sequence) {
        sequence -> Int8,
        log_id -> Int8,
        details_hash -> Bytea,
        hash -> Bytea,
    }
}

diesel::table! {
    catalog_snapshots (gateway) {
        gateway -> Text,
        fetched_at -> Timestamptz,
        packed -> Bytea,
    }
}

diesel::table! {
    chat_messages (id) {
        id -> Int8,
        session_id -> Int8,
        #[max_length = 20]
        role -> Varchar,
        content -> Text,
        #[max_length = 100]
        model -> Nullable<Varchar>,
        tokens -> Int8,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    chat_search (session_id, message_id) {
        session_id -> Int8,
        message_id -> Int8,
        words -> crate::chat_sessions::Tsvector,
    }
}

diesel::table! {
    chat_sessions (id) {
        id -> Int8,
        user_id -> Int8,
        #[max_length = 255]
        title -> Varchar,
        #[max_length = 100]
        model -> Varchar,
        is_active -> Bool,
        message_count -> Int8,
        token_count -> Int8,
        last_message_at -> Nullable<Timestamptz>,
        last_turn -> Nullable<Uuid>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    chat_totals (user_id) {
        user_id -> Int8,
        sessions -> Int8,
        messages -> Int8,
        tokens -> Int8,
    }
}

diesel::table! {
    failed_attempts (generation_id, ordinal) {
        generation_id -> Uuid,
        ordinal -> Int2,
        user_id -> Int8,
        gateway -> Text,
        model -> Text,
        kind -> Text,
        status -> Nullable<Int2>,
        latency_ms -> Int4,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    holds (id) {
        id -> Uuid,
        account_id -> Int8,
        budget_account_id -> Nullable<Int8>,
        asked -> Int8,
        amount -> Int8,
        state -> Int2,
        slot -> Int4,
        charged -> Nullable<Int8>,
        debt -> Nullable<Int8>,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        closed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    idempotency_keys (user_id, key) {
        user_id -> Int8,
        key -> Text,
        body_hash -> Bytea,
        generation_id -> Uuid,
        streamed -> Bool,
        status -> Nullable<Int2>,
        content_type -> Nullable<Text>,
        body -> Nullable<Bytea>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    identity_changes (id) {
        id -> Int8,
        user_id -> Int8,
        changed_at -> Timestamptz,
    }
}

diesel::table! {
    instances (slot) {
        slot -> Int4,
        epoch -> Int8,
        name -> Text,
        started_at -> Timestamptz,
        heartbeat_at -> Timestamptz,
    }
}

diesel::table! {
    key_budgets (api_key_id, starts_at) {
        api_key_id -> Int8,
        starts_at -> Timestamptz,
        account_id -> Int8,
        limit_nanos -> Int8,
    }
}

diesel::table! {
    ledger_batches (slot, batch) {
        slot -> Int4,
        batch -> Int8,
        previous_hash -> Bytea,
        hash -> Bytea,
        transfers -> Int4,
        usage_records -> Int4,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    limit_counters (scope, subject_id) {
        scope -> Text,
        subject_id -> Int8,
        minute_start -> Timestamptz,
        minute_requests -> Int8,
        minute_tokens -> Int8,
        hour_start -> Timestamptz,
        hour_requests -> Int8,
        hour_tokens -> Int8,
        day_start -> Timestamptz,
        day_requests -> Int8,
        day_tokens -> Int8,
        month_start -> Timestamptz,
        month_requests -> Int8,
        month_tokens -> Int8,
    }
}

diesel::table! {
    limit_writers (id) {
        id -> Uuid,
        sequence -> Int8,
        written_at -> Timestamptz,
    }
}

diesel::table! {
    notification_preferences (user_id) {
        user_id -> Int8,
        email_notifications -> Bool,
        low_balance_alerts -> Bool,
        trial_expiry_alerts -> Bool,
        subscription_alerts -> Bool,
        usage_alerts -> Bool,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    operations (id) {
        id -> Uuid,
        kind -> Text,
        body_hash -> Bytea,
        credits_after -> Int8,
        held_after -> Int8,
        debt_after -> Int8,
        slot -> Int4,
        batch -> Int8,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    plans (id) {
        id -> Int8,
        #[max_length = 20]
        plan_type -> Varchar,
        #[max_length = 100]
        name -> Varchar,
        description -> Text,
        daily_request_limit -> Int8,
        monthly_request_limit -> Int8,
        daily_token_limit -> Int8,
        monthly_token_limit -> Int8,
        price_per_month_nanos -> Int8,
        yearly_price_nanos -> Nullable<Int8>,
        price_per_million_nanos -> Nullable<Int8>,
        is_pay_as_you_go -> Bool,
        max_concurrent_requests -> Int8,
        features -> Jsonb,
        is_active -> Bool,
        sort_order -> Int2,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    rate_limit_alerts (id) {
        id -> Int8,
        user_id -> Int8,
        api_key_id -> Int8,
        #[max_length = 50]
        alert_type -> Varchar,
        window_start -> Timestamptz,
        details -> Jsonb,
        created_at -> Timestamptz,
        resolved -> Bool,
        resolved_at -> Nullable<Timestamptz>,
        resolved_by -> Nullable<Text>,
    }
}

diesel::table! {
    rate_limit_configs (api_key_id) {
        api_key_id -> Int8,
        requests_per_minute -> Int8,
        requests_per_hour -> Int8,
        requests_per_day -> Int8,
        tokens_per_minute -> Int8,
        tokens_per_hour -> Int8,
        tokens_per_day -> Int8,
        burst_limit -> Int8,
        concurrency_limit -> Int8,
        updated_at -> Timestamptz,
        granted -> Nullable<Jsonb>,
    }
}

diesel::table! {
    transaction_folds (slot) {
        slot -> Int4,
        batch -> Int8,
        folded_at -> Timestamptz,
    }
}

diesel::table! {
    transaction_totals (account_id, kind) {
        account_id -> Int8,
        kind -> Text,
        count -> Int8,
        amount -> Int8,
    }
}

diesel::table! {
    transfers (slot, batch, ordinal) {
        created_at -> Timestamptz,
        slot -> Int4,
        batch -> Int8,
        ordinal -> Int4,
        kind -> Text,
        debit_account -> Int8,
        credit_account -> Int8,
        amount -> Int8,
        reference -> Uuid,
        user_id -> Int8,
        balance_after -> Int8,
        description -> Text,
    }
}

diesel::table! {
    usage_records (hold_id) {
        created_at -> Timestamptz,
        slot -> Int4,
        batch -> Int8,
        ordinal -> Int4,
        hold_id -> Uuid,
        user_id -> Int8,
        api_key_id -> Int8,
        model -> Text,
        gateway -> Text,
        prompt_tokens -> Int8,
        completion_tokens -> Int8,
        cache_read_tokens -> Int8,
        cache_write_tokens -> Int8,
        reasoning_tokens -> Int8,
        cost -> Int8,
        balance_after -> Int8,
        latency_ms -> Int4,
        estimated -> Bool,
        streamed -> Bool,
        finish_reason -> Text,
        provider -> Text,
        session_id -> Nullable<Int8>,
    }
}

diesel::table! {
    user_plans (id) {
        id -> Int8,
        user_id -> Int8,
        plan_id -> Int8,
        start_date -> Timestamptz,
        end_date -> Nullable<Timestamptz>,
        is_active -> Bool,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    users (id) {
        id -> Int8,
        public_id -> Text,
        #[max_length = 255]
        username -> Varchar,
        #[max_length = 255]
        email -> Varchar,
        #[max_length = 50]
        auth_method -> Varchar,
        is_active -> Bool,
        is_admin -> Bool,
        #[max_length = 50]
        subscription_status -> Varchar,
        trial_expires_at -> Nullable<Timestamptz>,
        trial_used_tokens -> Int8,
        trial_used_requests -> Int8,
        #[max_length = 255]
        name -> Nullable<Varchar>,
        preferences -> Jsonb,
        settings -> Jsonb,
        #[max_length = 255]
        privy_user_id -> Nullable<Varchar>,
        pending_grant_nanos -> Nullable<Int8>,
        registration_date -> Timestamptz,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::joinable!(api_keys -> users (user_id));
diesel::joinable!(chat_messages -> chat_sessions (session_id));
diesel::joinable!(chat_search -> chat_sessions (session_id));
diesel::joinable!(chat_sessions -> users (user_id));
diesel::joinable!(chat_totals -> users (user_id));
diesel::joinable!(notification_preferences -> users (user_id));
diesel::joinable!(rate_limit_configs -> api_keys (api_key_id));
diesel::joinable!(user_plans -> users (user_id));
diesel::joinable!(user_plans -> plans (plan_id));

diesel::allow_tables_to_appear_in_same_query!(
    accounts,
    activity_batches,
    activity_daily,
    activity_events,
    activity_folds,
    activity_totals,
    api_key_audit_logs,
    api_keys,
    audit_links,
    catalog_snapshots,
    chat_messages,
    chat_search,
    chat_sessions,
    chat_totals,
    failed_attempts,
    holds,
    idempotency_keys,
    identity_changes,
    instances,
    key_budgets,
    ledger_batches,
    limit_counters,
    limit_writers,
    notification_preferences,
    operations,
    plans,
    rate_limit_alerts,
    rate_limit_configs,
    transaction_folds,
    transaction_totals,
    transfers,
    usage_records,
    user_plans,
    users,
);
