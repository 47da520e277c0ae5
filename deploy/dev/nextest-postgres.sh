#!/usr/bin/env bash
# nextest runs this before the tests: gives them the throw-away clusters, which end with nextest itself.
# A cluster that the caller has chosen is left as it is.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[[ -n ${TEST_DATABASE_URL:-} ]] && exit 0

# Both at once: most of the time goes to initdb.
durable="$(mktemp)"
trap 'rm -f "$durable"' EXIT
"$ROOT/deploy/dev/test-postgres.sh" start --durable --owner "$PPID" >"$durable" &
"$ROOT/deploy/dev/test-postgres.sh" start --owner "$PPID" >>"$NEXTEST_ENV"
wait $!
cat "$durable" >>"$NEXTEST_ENV"
