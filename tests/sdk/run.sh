#!/usr/bin/env bash
# The suites with OpenAI's own SDKs, and with schemathesis, against a running server with the stand-in provider. `make test`
# calls this last; by hand, after `cargo build --bins`:
#
#   tests/sdk/run.sh [python|node|schema]     one suite alone; the default is all
#
# The suite `schema` has at least 1,000 cases of its own making, with CHAOS=long 10,000 (promise P5); SEED repeats a run.
# The database is one of its own on the cluster of TEST_DATABASE_URL, or on a throw-away cluster.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../deploy/dev/common.sh"
cd "$ROOT/tests/sdk"
exec </dev/null

readonly SERVER="${CARGO_TARGET_DIR:-$ROOT/target}/debug/tollgate"
readonly START_LIMIT_S=60 STOP_LIMIT_S=20
# The test databases' sweep knows by the number whether the run still lives.
readonly DATABASE="tollgate_test_$$_sdk"
readonly SUITES="${*:-python node schema}"
FOLDER="" SERVER_PID="" SUITE_PID="" HAS_DATABASE="" HAS_CLUSTER=""

# Begins a command that does not outlive this script, however that ends, and that has nothing else of the caller's
# environment: a real provider's key or a proxy would be used.
readonly BARE=(setpriv --pdeathsig TERM -- env -i PATH="$PATH" LC_ALL=C.UTF-8)

# ---- The SDKs, at the versions pinned here; installed when missing or changed.

# unless_installed STAMP INSTALL WANTED: runs INSTALL unless the file STAMP says that just this is installed.
unless_installed() {
    local stamp="$1" install="$2" wanted="$3"
    [[ -e $stamp && $(<"$stamp") == "$wanted" ]] && return
    "$install"
    printf '%s\n' "$wanted" >"$stamp"
}

install_python() {
    echo "installing the Python SDK"
    rm -rf .venv
    python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --requirement python/requirements.txt
}

install_schema() {
    echo "installing schemathesis"
    rm -rf .venv-schema
    python3 -m venv .venv-schema
    .venv-schema/bin/python -m pip install --quiet --no-input --disable-pip-version-check --requirement schema/requirements.txt
}

install_node() {
    echo "installing the Node SDKs"
    (cd node && npm ci --silent --ignore-scripts --no-audit --no-fund --no-update-notifier)
}

# One run at a time: another may want to install the same.
install() (
    exec {lock}<run.sh
    flock "$lock"
    unless_installed .venv/installed install_python "$(python3 --version && cat python/requirements.txt)"
    unless_installed node/node_modules/.installed install_node "$(cat node/package.json node/package-lock.json)"
    unless_installed .venv-schema/installed install_schema "$(python3 --version && cat schema/requirements.txt)"
)

# ---- The server.

# address ROLE: this run's database; all roles of a test cluster have the superuser's password.
address() {
    local rest="${TEST_DATABASE_URL#*://*:}" password
    password="${rest%%@*}"
    rest="${rest#*@}"
    echo "postgres://$1:$password@${rest%%/*}/$DATABASE"
}

sql() {
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --command "$1" "$TEST_DATABASE_URL"
}

make_database() {
    local line
    if [[ -z ${TEST_DATABASE_URL:-} ]]; then
        HAS_CLUSTER=yes
        line="$("$ROOT/deploy/dev/test-postgres.sh" start --owner $$)"
        export "${line?}"
    fi
    HAS_DATABASE=yes
    sql "CREATE DATABASE $DATABASE OWNER tollgate_owner"
}

# tollgate ARGUMENT...: becomes the server's program (call it in a subshell), with this run's database, with limits that the
# suites don't run into by accident, and without retries and breakers: they count requests and put faults in on purpose.
tollgate() {
    exec "${BARE[@]}" DATA_DIR="$FOLDER/data" \
        DATABASE_URL="$(address tollgate_app)" DATABASE_ADMIN_URL="$(address tollgate_owner)" \
        BIND_ADDR=127.0.0.1:0 HTTP_WORKERS=2 LOG_FORMAT=text REGISTER_PER_HOUR=0 \
        RATE_LIMIT_REQUESTS_PER_MINUTE=100000 RATE_LIMIT_REQUESTS_PER_HOUR=100000 RATE_LIMIT_REQUESTS_PER_DAY=100000 \
        RATE_LIMIT_TOKENS_PER_MINUTE=1000000000 RATE_LIMIT_TOKENS_PER_HOUR=1000000000 \
        RATE_LIMIT_TOKENS_PER_DAY=1000000000 RATE_LIMIT_BURST=100000 RATE_LIMIT_CONCURRENCY=1000 RETRY_ATTEMPTS=1 BREAKER_FAILURES=0 \
        PLAN_LIMITS=off TRIAL_TOKENS=1000000000 TRIAL_REQUESTS=100000 \
        "$SERVER" "$@"
}

# told PATTERN: what the server has printed in the place of \1.
told() {
    sed -n "s|.*$1.*|\\1|p" "$FOLDER/server.out"
}

start_server() {
    local deadline=$((SECONDS + START_LIMIT_S))
    [[ -x $SERVER ]] || fail "no $SERVER: run cargo build --bins"
    tollgate serve --demo >"$FOLDER/server.out" 2>"$FOLDER/server.log" &
    SERVER_PID=$!
    until [[ -n $(told 'serves at \(http://[0-9.:]*\)') ]]; do
        kill -0 "$SERVER_PID" 2>/dev/null || give_up "the server ended"
        ((SECONDS < deadline)) || give_up "the server does not serve after $START_LIMIT_S s"
        sleep 0.1
    done
}

give_up() {
    tail -n 30 "$FOLDER/server.log" >&2
    fail "$1"
}

stop_server() {
    local pid="$SERVER_PID" deadline=$((SECONDS + STOP_LIMIT_S)) status=0
    SERVER_PID=""
    kill -TERM "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do
        ((SECONDS < deadline)) || kill -KILL "$pid"
        sleep 0.1
    done
    wait "$pid" || status=$?
    return "$status"
}

clean_up() {
    [[ -z $SUITE_PID ]] || kill -TERM "$SUITE_PID" 2>/dev/null || true
    [[ -z $SERVER_PID ]] || stop_server || true
    [[ -z $HAS_DATABASE ]] || sql "DROP DATABASE IF EXISTS $DATABASE WITH (FORCE)" || true
    [[ -z $HAS_CLUSTER ]] || "$ROOT/deploy/dev/test-postgres.sh" stop --owner $$ || true
    [[ -z $FOLDER ]] || rm -rf "$FOLDER"
}

# ---- The suites.

# suite COMMAND...: waits in a way that a signal interrupts, so that the clean-up can end it.
suite() {
    local status=0 server sim privy
    server="$(told 'serves at \(http://[0-9.:]*\)')"
    sim="http://$(told 'stand-in at \([0-9.:]*\) answers')"
    privy="http://$(told 'stand-in of Privy at \([0-9.:]*\) signs')"
    "${BARE[@]}" TOLLGATE_URL="$server" SIM_URL="$sim" PRIVY_URL="$privy" PRIVY_APP_ID=tollgate-demo PYTHONDONTWRITEBYTECODE=1 NO_PROXY='*' "$@" &
    SUITE_PID=$!
    wait "$SUITE_PID" || status=$?
    SUITE_PID=""
    return "$status"
}

# The answers of all routes, to generated requests, beside what /openapi.json says of them.
run_schema() {
    local seed="${SEED:-$RANDOM}" examples=10 least=1000 checks
    [[ ${CHAOS:-} != long ]] || examples=500 least=10000
    checks=not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance
    suite ADMIN_KEY="$(secret ADMIN_API_KEY)" USER_KEY="$(<"$FOLDER/data/demo_key")" SCHEMATHESIS_HOOKS=schema/hooks.py \
        sh -c 'exec .venv-schema/bin/st run "$TOLLGATE_URL/openapi.json" "$@"' st \
        --phases examples,coverage,fuzzing --checks "$checks" --max-examples "$examples" --seed "$seed" \
        --continue-on-failure --no-shrink --suppress-health-check all --warnings off | tee "$FOLDER/schema.out"
    local cases
    cases="$(sed -n 's/^ *\([0-9]*\) generated.*/\1/p' "$FOLDER/schema.out")"
    ((${cases:-0} >= least)) || fail "only ${cases:-0} cases: $least are promised"
    echo "promise P5: ${cases:-0} requests by schemathesis, 0 answers 5xx, each fits its schema (seed $seed)"
}

# secret NAME: of those that the demo has made for itself.
secret() {
    sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$FOLDER/data/demo_secrets.json"
}

run_suite() {
    printf '\n-- %s\n' "$1"
    case "$1" in
        python) suite .venv/bin/python -m pytest --quiet --tb=short -p no:cacheprovider python ;;
        node) suite node --test --test-reporter=spec node/*.test.mjs ;;
        schema) run_schema ;;
        *) fail "no suite '$1': python, node or schema" ;;
    esac
}

main() {
    local name
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    FOLDER="$(mktemp -d)"
    install
    make_database
    start_server
    for name in $SUITES; do
        run_suite "$name" || give_up "the $name suite failed; above, the server's last words"
    done
    stop_server || give_up "the server did not stop well"
    printf '\n-- The books\n'
    (tollgate ledger verify) || fail "the books are wrong after the suites"
}

main
