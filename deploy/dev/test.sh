#!/usr/bin/env bash
# Everything that CI checks, one named and timed step after the other; stops at the first that fails.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

# Steps may ask for nothing.
exec </dev/null

readonly DEV=deploy/dev
TIMES=()

# step NAME COMMAND...
step() {
    local name="$1" began=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    "$@" || {
        local status=$?
        printf '\n== %s: FAILED after %d s\n' "$name" $((SECONDS - began)) >&2
        exit "$status"
    }
    TIMES+=("$(printf '%5d s  %s' $((SECONDS - began)) "$name")")
}

# Of this run alone: the clusters end with this process.
start_clusters() {
    local line lines
    [[ -n ${TEST_DATABASE_URL:-} ]] && return
    lines="$("$DEV/test-postgres.sh" start --owner $$)" || return
    lines+=$'\n'"$("$DEV/test-postgres.sh" start --durable --owner $$)" || return
    while IFS= read -r line; do
        export "${line?}"
    done <<<"$lines"
}

licences() {
    "$DEV/check_licences.py" || return
    if has cargo-deny; then
        cargo deny --offline check licenses bans sources
    else
        echo "cargo-deny: skipped, not installed; the same rules were checked above"
    fi
}

sdk_suites() {
    if [[ -e tests/sdk/run.sh ]]; then
        bash tests/sdk/run.sh
    else
        echo "no suites in tests/sdk"
    fi
}

main() {
    trap '"$DEV/test-postgres.sh" stop --owner $$' EXIT
    step "format" cargo fmt --all --check
    step "licences, bans and sources" licences
    step "the README's figures" "$DEV/figures.py" --check
    step "unused dependencies" cargo machete
    step "lints" cargo clippy --workspace --all-targets --locked -- -D warnings
    # An application's documentation has its private items, so links to them resolve.
    step "documentation" env RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" \
        cargo doc --workspace --no-deps --document-private-items --locked
    step "build" cargo build --workspace --locked
    step "test clusters" start_clusters
    step "migrations and schema.rs" "$DEV/check_migrations.sh"
    step "tests" cargo nextest run --workspace --locked --profile ci
    step "SDK suites" sdk_suites
    step "load, in push size" "$DEV/load.sh"
    printf '\n== all passed in %d s\n' "$SECONDS"
    printf '%s\n' "${TIMES[@]}"
}

main "$@"
