#!/usr/bin/env bash
# The load runs (P0, P1) in their push sizes, on the build that the tests use: no answer fails and the books balance.
# Their figures say nothing but that; `make bench` measures.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

export BENCH_DATABASE_URL="${TEST_DURABLE_DATABASE_URL:?deploy/dev/test.sh sets it}"
target/debug/bench proxy --seconds 10 --rounds 1 --out target/tmp/bench/proxy.json
target/debug/bench streams --seconds 5 --rate 50 --streams 100 --stream-seconds 10 --out target/tmp/bench/streams.json
