//! All routes. Each carries its description: what is listed here is in `/openapi.json`.

use super::{
    account, activity, admin, api_keys, balance, chat_completions, chat_sessions, credits, docs, environment_usage, generation,
    health, key, metrics, models, monitor, notifications, openapi, plans, profile, rate_limits, register, root, sign_in,
    transactions, trial, user_plan,
};
use utoipa_actix_web::service_config::ServiceConfig;

/// Registers everything. The router compares a path with one route after the other, so what is asked most stands first.
pub fn all(config: &mut ServiceConfig<'_>) {
    config.service(chat_completions::chat_completions);
    house(config);
    sessions(config);
    users(config);
    usage(config);
    limits(config);
    operator(config);
    catalogue(config);
}

/// For those who run the server.
fn house(config: &mut ServiceConfig<'_>) {
    config
        .service(root::root)
        .service(health::health)
        .service(health::ready)
        .service(metrics::metrics)
        .service(openapi::openapi_json)
        .service(docs::docs)
        .service(docs::docs_file);
}

/// What was said.
fn sessions(config: &mut ServiceConfig<'_>) {
    config
        .service(chat_sessions::create_session)
        .service(chat_sessions::list_sessions)
        .service(chat_sessions::one_session)
        .service(chat_sessions::update_session)
        .service(chat_sessions::delete_session)
        .service(chat_sessions::add_message)
        .service(chat_sessions::search_sessions)
        .service(chat_sessions::session_stats);
}

/// What can be called.
fn catalogue(config: &mut ServiceConfig<'_>) {
    config
        .service(models::models)
        .service(models::catalog_models)
        .service(models::model_providers)
        .service(models::catalog_provider)
        .service(models::one_model)
        .service(models::developer_models)
        .service(models::v1_models)
        .service(models::v1_model_count)
        // Before the model itself, whose id may be anything.
        .service(models::v1_model_endpoints)
        .service(models::v1_model);
}

/// For those who call: who they are and what they have.
fn users(config: &mut ServiceConfig<'_>) {
    config
        .service(register::register)
        .service(sign_in::sign_in)
        .service(api_keys::create_api_key)
        .service(api_keys::list_api_keys)
        .service(api_keys::update_api_key)
        .service(api_keys::delete_api_key)
        .service(api_keys::api_keys_audit_logs)
        .service(profile::user_profile)
        .service(profile::update_profile)
        .service(account::delete_account)
        .service(balance::balance)
        .service(plans::list_plans)
        .service(plans::find_plan)
        .service(user_plan::user_plan)
        .service(user_plan::plan_usage)
        .service(user_plan::plan_entitlements)
        .service(trial::trial_status)
        .service(trial::subscription_plans)
        .service(notifications::notification_preferences)
        .service(notifications::update_notification_preferences);
}

/// For those who call: what they did and what it cost.
fn usage(config: &mut ServiceConfig<'_>) {
    config
        .service(activity::activity_log)
        .service(activity::api_activity_log)
        .service(activity::activity_stats)
        .service(activity::api_activity_stats)
        .service(generation::generation)
        .service(key::current_key)
        .service(credits::credits)
        .service(monitor::monitor)
        .service(environment_usage::environment_usage)
        .service(api_keys::api_keys_usage)
        .service(transactions::credit_transactions);
}

/// For those who call: how much.
fn limits(config: &mut ServiceConfig<'_>) {
    config
        .service(rate_limits::user_limit)
        .service(rate_limits::user_rate_limits)
        .service(rate_limits::rate_limit_usage)
        .service(rate_limits::update_rate_limits)
        .service(rate_limits::bulk_update_rate_limits);
}

/// For the operator.
fn operator(config: &mut ServiceConfig<'_>) {
    config.service(admin::add_credits).service(admin::set_limit).service(admin::assign_plan);
    config.service(admin::refresh_models).service(admin::cache_status);
    config.service(admin::trial_analytics);
    config.service(admin::admin_balance).service(admin::admin_monitor);
    config.service(admin::system_rate_limits).service(admin::list_rate_limit_alerts);
}
