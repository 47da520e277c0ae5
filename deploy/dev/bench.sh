#!/usr/bin/env bash
# make bench: the server beside a bare nginx, its streams, and the ledger alone, on a throw-away PostgreSQL with fsync on. Options go
# to the first.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

deploy/dev/install.sh bench
deploy/dev/release.sh
trap 'deploy/dev/test-postgres.sh stop --owner $$' EXIT
eval "export $(deploy/dev/test-postgres.sh start --durable --owner $$)"
export BENCH_DATABASE_URL="$TEST_DURABLE_DATABASE_URL"
target/release/bench proxy "$@"
target/release/bench streams
deploy/dev/chaos.py L1
