#!/usr/bin/env bash
# Runs all migrations up, down and up again in a scratch database: the second time must give the same schema as the first, nothing
# may be left in between, and schema.rs must be what the database has. Migrates as the role `tollgate_owner`, who is no superuser.
#
# Uses the cluster of TEST_DATABASE_URL, else one of its own.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

TOLLGATE="${TOLLGATE:-${CARGO_TARGET_DIR:-$ROOT/target}/debug/tollgate}"
[[ -x $TOLLGATE ]] || fail "$TOLLGATE is missing: run cargo build --workspace"
PG_DUMP="$(postgres_bin)/pg_dump"

if [[ -z ${TEST_DATABASE_URL:-} ]]; then
    started="$("$ROOT/deploy/dev/test-postgres.sh" start --owner $$)"
    TEST_DATABASE_URL="${started#*=}"
fi

readonly DATABASE="tollgate_migrations_$$"
files="$(mktemp -d)"

admin_sql() {
    psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 "$1" --command "$2"
}

clean_up() {
    admin_sql "$TEST_DATABASE_URL" "DROP DATABASE IF EXISTS $DATABASE WITH (FORCE)" || true
    rm -rf "$files"
}
trap clean_up EXIT

# url_of ROLE: the scratch database's address; all roles of the test cluster have the same password.
url_of() {
    local address="${TEST_DATABASE_URL#*//}"
    echo "postgres://$1:${address#*:}" | sed -E "s#/[^/]*\$#/$DATABASE#"
}

# migrate [OPTION]: the server's command, in an environment with no other settings of ours.
migrate() {
    DATABASE_URL="$(url_of tollgate_app)" DATABASE_ADMIN_URL="$(url_of tollgate_owner)" "$TOLLGATE" migrate "$@" </dev/null
}

# Newer pg_dumps put a random word into \restrict lines.
dump_schema() {
    "$PG_DUMP" --schema-only "$(url_of postgres)" | sed -E '/^\\(un)?restrict /d' >"$1"
}

# Tables, views, sequences, indexes and partitions; functions; types of their own.
leftovers() {
    admin_sql "$(url_of postgres)" "
        SELECT 'relation ' || relname FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE '\_\_diesel\_schema\_migrations%'
        UNION ALL SELECT 'function ' || p.proname FROM pg_proc p
            WHERE p.pronamespace = 'public'::regnamespace
            AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
        UNION ALL SELECT 'type ' || typname FROM pg_type
            WHERE typnamespace = 'public'::regnamespace AND typtype IN ('d', 'e', 'r') ORDER BY 1"
}

admin_sql "$TEST_DATABASE_URL" "CREATE DATABASE $DATABASE OWNER tollgate_owner"
migrate
dump_schema "$files/first"
migrate
dump_schema "$files/again"
diff -u "$files/first" "$files/again" || fail "migrating twice changes the schema"
migrate --revert-all
left="$(leftovers)"
[[ -z $left ]] || fail "after all down.sql there is still: ${left//$'\n'/, }"
migrate
dump_schema "$files/second"
diff -u "$files/first" "$files/second" || fail "up, down and up again gives another schema than up"
echo "migrations: up, down and up again give the same schema"
"$ROOT/deploy/dev/check_schema.py" "$(url_of postgres)"
