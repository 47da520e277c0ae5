//! What owners change about their keys: each a plain function over the store, run by the actor.

use super::Shared;
use super::caller::Caller;
use super::checks::Scopes;
use super::chores::{days_after, within_plan};
use super::keys::{Environment, MintedKey};
use super::messages::{CreatedKey, IdentityError, KeyEdit, RotateKey, RotateKeys, UpdateKey};
use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use std::sync::Arc;
use tollgate_domain::{KeyId, UserId};
use tollgate_store::api_keys::{self, KeyChange, KeyRow, NewSecret};

/// Keys rotated in one transaction.
const ROTATED_MAX: usize = 1_000;

pub(super) async fn update_key(shared: Arc<Shared>, update: UpdateKey) -> Result<KeyRow, IdentityError> {
    let UpdateKey { user, key, edit, grace } = update;
    let now = shared.clock.now();
    let previous_ends_at = grace.map(|grace| after(now, grace));
    let change = KeyChange { previous_ends_at, ..change_of(&shared, user, edit, now).await? };
    let row = api_keys::change(&shared.store, user, key, &change, None, now).await?;
    // Here at once; the others learn it from the change.
    shared.cache.freshness.mark(user);
    Ok(row)
}

pub(super) async fn rotate_key(shared: Arc<Shared>, rotate: RotateKey, mut rng: StdRng) -> Result<CreatedKey, IdentityError> {
    let RotateKey { by, key, edit, grace } = rotate;
    let now = shared.clock.now();
    let rows = api_keys::list(&shared.store, by.user).await?;
    let row = rows.into_iter().find(|row| row.id == key.0).ok_or(IdentityError::UnknownKey)?;
    require_scopes(&by, &row)?;
    let change = change_of(&shared, by.user, edit, now).await?;
    let minted = mint(&shared, &row, &mut rng);
    let row = api_keys::change(&shared.store, by.user, key, &change, Some(&secret_of(&minted, now, grace)), now).await?;
    shared.cache.freshness.mark(by.user);
    Ok(CreatedKey { api_key: minted.secret, row })
}

pub(super) async fn rotate_keys(
    shared: Arc<Shared>,
    rotate: RotateKeys,
    mut rng: StdRng,
) -> Result<Vec<CreatedKey>, IdentityError> {
    let RotateKeys { by, key, environment, grace } = rotate;
    let now = shared.clock.now();
    let mut rows = api_keys::list(&shared.store, by.user).await?;
    if rows.iter().all(|row| row.id != key.0) {
        return Err(IdentityError::UnknownKey);
    }
    let is_meant = |row: &KeyRow| environment.is_none_or(|environment| environment.tag() == row.environment_tag);
    let is_live = |row: &KeyRow| row.is_active && row.expiration_date.is_none_or(|end| end > now);
    rows.retain(|row| is_meant(row) && is_live(row));
    if rows.len() > ROTATED_MAX {
        return Err(IdentityError::TooManyKeys(ROTATED_MAX));
    }
    rows.iter().try_for_each(|row| require_scopes(&by, row))?;
    rows.sort_unstable_by_key(|row| row.id);
    let minted: Vec<MintedKey> = rows.iter().map(|row| mint(&shared, row, &mut rng)).collect();
    let secrets: Vec<_> = rows.iter().zip(&minted).map(|(row, minted)| (KeyId(row.id), secret_of(minted, now, grace))).collect();
    let rotated = api_keys::rotate_all(&shared.store, by.user, &secrets, now).await?;
    shared.cache.freshness.mark(by.user);
    let with_secrets = rotated.into_iter().zip(minted).rev();
    Ok(with_secrets.map(|(row, minted)| CreatedKey { api_key: minted.secret, row }).collect())
}

/// Else a key with a narrow scope would become a wide one by the secret that it learns.
// Mutant: leaving it out turns `a_key_learns_no_secret_of_a_key_that_may_do_more` red.
fn require_scopes(by: &Caller, row: &KeyRow) -> Result<(), IdentityError> {
    let covered = by.scopes.cover(&Scopes::from_json(&row.scope_permissions));
    if covered { Ok(()) } else { Err(IdentityError::BeyondScopes) }
}

fn mint(shared: &Shared, row: &KeyRow, rng: &mut StdRng) -> MintedKey {
    // The table's CHECK lets no other tag in.
    let environment = Environment::parse(&row.environment_tag).unwrap_or(Environment::Live);
    shared.options.peppers.mint(environment, rng)
}

fn secret_of(minted: &MintedKey, now: DateTime<Utc>, grace: TimeDelta) -> NewSecret<'_> {
    NewSecret {
        key_hash: &minted.hash.0,
        pepper_version: minted.pepper_version,
        masked: &minted.masked,
        last4: &minted.last4,
        previous_ends_at: (grace > TimeDelta::zero()).then(|| after(now, grace)),
    }
}

async fn change_of(shared: &Shared, user: UserId, edit: KeyEdit, now: DateTime<Utc>) -> Result<KeyChange, IdentityError> {
    let max_requests = match edit.max_requests {
        Some(asked) => Some(within_plan(shared, user, asked).await?),
        None => None,
    };
    Ok(KeyChange {
        key_name: edit.key_name,
        is_active: edit.is_active,
        scope_permissions: edit.scope_permissions,
        ip_allowlist: edit.ip_allowlist,
        domain_referrers: edit.domain_referrers,
        model_allowlist: edit.models,
        expiration_date: edit.expiration_days.map(|days| days.map(|days| days_after(now, days))),
        max_requests,
        budget: edit.budget,
        previous_ends_at: None,
    })
}

/// Saturates at the end of time.
fn after(now: DateTime<Utc>, time: TimeDelta) -> DateTime<Utc> {
    now.checked_add_signed(time).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
