#!/usr/bin/env bash
# make bench: the server beside a bare nginx, its streams, and the ledger alone, on a throw-away PostgreSQL with fsync on; fails when
# less than promised (P0, P1) is measured. Options go to the first.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

deploy/dev/install.sh bench
deploy/dev/release.sh
trap 'deploy/dev/test-postgres.sh stop --owner $$' EXIT
eval "export $(deploy/dev/test-postgres.sh start --durable --owner $$)"
export BENCH_DATABASE_URL="$TEST_DURABLE_DATABASE_URL"
# Each is run, whatever became of the one before.
status=0
target/release/bench proxy --hold-bars "$@" || status=$?
target/release/bench streams --hold-bars || status=$?
deploy/dev/chaos.py L1 || status=$?
exit "$status"
