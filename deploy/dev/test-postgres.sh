#!/usr/bin/env bash
# Throw-away PostgreSQL clusters for tests. A cluster belongs to a process, its owner, and ends with it, however that ends.
#
#   test-postgres.sh start [--durable] [--owner PID]   start it unless it runs; prints TEST_DATABASE_URL=… (--durable: fsync on,
#                                                      TEST_DURABLE_DATABASE_URL=…); the owner is the calling process
#   test-postgres.sh url   [--durable] [--owner PID]   print the address
#   test-postgres.sh stop  [--owner PID]               stop all clusters of the owner
#   test-postgres.sh kill   [--durable] [--owner PID]  kill -9 its postmaster, as a crash does
#   test-postgres.sh revive [--durable] [--owner PID]  start it again after that, at the same address
#
# The address is a superuser's (`postgres`). The roles `tollgate_owner` (may create databases) and `tollgate_app` have its password.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

readonly NAME=tollgate-test-postgres
readonly PORT_ATTEMPTS=5
readonly REVIVE_ATTEMPTS=60
# As many as min_wal_size keeps.
readonly LOG_SEGMENTS=64

# A process is known by its number and its start time, as numbers are used again.
process_identity() {
    local stat fields
    stat="$(cat "/proc/$1/stat" 2>/dev/null)" || return 1
    # The command's name may hold blanks; the start time is the 20th field behind it.
    read -ra fields <<<"${stat##*) }"
    echo "$1 ${fields[19]}"
}

owner_lives() {
    local owner
    owner="$(cat "$1/owner" 2>/dev/null)" || return 1
    [[ "$(process_identity "${owner% *}")" == "$owner" ]]
}

# The first folder for temporary files that the account of PostgreSQL can enter.
base_folder() {
    local folder
    for folder in "${TMPDIR:-/tmp}" /tmp /var/tmp; do
        if as_postgres test -x "$folder" 2>/dev/null; then
            echo "${folder%/}"
            return
        fi
    done
    fail "user postgres can enter neither ${TMPDIR:-/tmp} nor /tmp"
}

# Folders of the owner's clusters of one kind (or of all), complete ones only.
clusters_of() {
    local owner="$1" kind="${2:-*}" folder
    for folder in "$BASE/$NAME.$owner".*; do
        # shellcheck disable=SC2053  # the kind may be a pattern
        if [[ -e $folder/url && $(cat "$folder/kind") == $kind ]] && owner_lives "$folder"; then
            echo "$folder"
        fi
    done
}

remove_cluster() {
    local folder="$1"
    if [[ -e $folder/cluster/postmaster.pid ]]; then
        as_postgres "$BIN/pg_ctl" stop --silent --mode immediate --pgdata "$folder/cluster" >/dev/null 2>&1 || true
    fi
    rm -rf "$folder"
}

# What crashed runs left behind. A folder without an owner is one in the making, or an old wreck.
sweep() {
    local folder
    for folder in "$BASE/$NAME".*; do
        [[ -d $folder && -O $folder ]] || continue
        if [[ -e $folder/owner ]]; then
            owner_lives "$folder" || remove_cluster "$folder"
        elif [[ -n "$(find "$folder" -maxdepth 0 -mmin +10)" ]]; then
            remove_cluster "$folder"
        fi
    done
}

# Runs in a session of its own, so that a Ctrl-C for the tests does not end it.
watch_owner() {
    local folder="$1"
    while [[ -d $folder ]] && owner_lives "$folder"; do
        sleep 1
    done
    remove_cluster "$folder"
}

settings() {
    local kind="$1" folder="$2"
    cat <<SETTINGS
listen_addresses = '127.0.0.1'
unix_socket_directories = '$folder/cluster'
max_connections = 400
shared_buffers = 256MB
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
SETTINGS
    if [[ $kind == durable ]]; then
        # As the server's private PostgreSQL: its speed and its crashes are what these tests are about.
        printf '%s\n' 'fsync = on' 'synchronous_commit = on' 'wal_compression = lz4' 'max_wal_size = 2GB' 'min_wal_size = 1GB'
    else
        printf '%s\n' 'fsync = off' 'full_page_writes = off' 'wal_level = minimal' 'max_wal_senders = 0'
    fi
}

# A password hash of one round: as strong as its random password, and thousands of test connections don't wait for it.
scram_of() {
    python3 - "$1" <<'PYTHON'
import base64, hashlib, hmac, os, sys

salt = os.urandom(16)
salted = hashlib.pbkdf2_hmac("sha256", sys.argv[1].encode(), salt, 1)
stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
server = hmac.digest(salted, b"Server Key", "sha256")
salt, stored, server = (base64.b64encode(part).decode() for part in (salt, stored, server))
print(f"SCRAM-SHA-256$1:{salt}${stored}:{server}")
PYTHON
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Prints the port. Between choosing and listening another program may take it.
boot() {
    local folder="$1" port attempt
    for ((attempt = 1; attempt <= PORT_ATTEMPTS; attempt++)); do
        port="$(free_port)"
        if as_postgres "$BIN/pg_ctl" start --silent --wait --pgdata "$folder/cluster" --log "$folder/cluster/server.log" \
            --options "-p $port" >/dev/null 2>&1 </dev/null; then
            echo "$port"
            return
        fi
    done
    tail -n 5 "$folder/cluster/server.log" >&2
    fail "PostgreSQL does not start"
}

make_roles() {
    local folder="$1" port="$2" password="$3" hash
    hash="$(scram_of "$password")"
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --host "$folder/cluster" --port "$port" --username postgres postgres <<SQL
ALTER ROLE postgres PASSWORD '$hash';
CREATE ROLE tollgate_owner LOGIN CREATEDB PASSWORD '$hash';
CREATE ROLE tollgate_app LOGIN PASSWORD '$hash';
SQL
}

# A cluster that has run for a day writes its log over old segments. A new one makes each, 16 MB and an fsync in the middle of a
# commit, until a checkpoint comes: so these are made now.
make_log_segments() {
    local folder="$1" port="$2" segment
    {
        for ((segment = 0; segment < LOG_SEGMENTS; segment++)); do
            echo "SELECT pg_logical_emit_message(false, '', ''); SELECT pg_switch_wal();"
        done
        echo CHECKPOINT
    } | psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --host "$folder/cluster" --port "$port" --username postgres postgres >/dev/null
}

make_cluster() {
    local kind="$1" owner="$2" folder port password
    folder="$(mktemp -d "$BASE/$NAME.$owner.XXXXXX")"
    # shellcheck disable=SC2064  # the folder of now
    trap "remove_cluster '$folder'" EXIT
    process_identity "$owner" >"$folder/owner" || fail "no process $owner to start a cluster for"
    echo "$kind" >"$folder/kind"
    setsid "${BASH_SOURCE[0]}" watch "$folder" </dev/null >/dev/null 2>&1 &

    mkdir -m 700 "$folder/cluster"
    if ((EUID == 0)); then
        chmod 711 "$folder"
        chown postgres:postgres "$folder/cluster"
    fi
    as_postgres "$BIN/initdb" --pgdata "$folder/cluster" --username postgres --encoding UTF8 --locale C \
        --auth-local trust --auth-host scram-sha-256 --no-sync >/dev/null
    settings "$kind" "$folder" >>"$folder/cluster/postgresql.conf"
    port="$(boot "$folder")"
    password="$(python3 -c 'import secrets; print(secrets.token_hex(16))')"
    make_roles "$folder" "$port" "$password"
    if [[ $kind == durable ]]; then
        make_log_segments "$folder" "$port"
    fi
    (umask 077 && echo "postgres://postgres:$password@127.0.0.1:$port/postgres" >"$folder/url")
    trap - EXIT
    echo "$folder"
}

# After kill -9 the start fails until the old backends have left.
revive() {
    local folder="$1" port attempt
    port="$(sed -E 's|.*:([0-9]+)/postgres$|\1|' "$folder/url")"
    for ((attempt = 1; attempt <= REVIVE_ATTEMPTS; attempt++)); do
        if as_postgres "$BIN/pg_ctl" start --silent --wait --pgdata "$folder/cluster" --log "$folder/cluster/server.log" \
            --options "-p $port" >/dev/null 2>&1 </dev/null; then
            return
        fi
        sleep 0.25
    done
    tail -n 5 "$folder/cluster/server.log" >&2
    fail "PostgreSQL does not start again"
}

cluster_of() {
    local folder
    folder="$(clusters_of "$1" "$2" | head -n 1)"
    [[ -n $folder ]] || fail "process $1 has no $2 cluster"
    echo "$folder"
}

start() {
    local kind="$1" owner="$2" folder
    sweep
    folder="$(clusters_of "$owner" "$kind" | head -n 1)"
    [[ -n $folder ]] || folder="$(make_cluster "$kind" "$owner")"
    if [[ $kind == durable ]]; then
        printf 'TEST_DURABLE_DATABASE_URL='
    else
        printf 'TEST_DATABASE_URL='
    fi
    cat "$folder/url"
}

main() {
    local command="${1:-}" kind=fast owner="$PPID" folder
    (($# > 0)) && shift
    BIN="$(postgres_bin)" || fail "no PostgreSQL server: run deploy/dev/install.sh"
    if [[ $command == watch ]]; then
        watch_owner "$1"
        return
    fi
    while (($# > 0)); do
        case "$1" in
            --durable) kind=durable ;;
            --owner) owner="${2:?--owner needs a process id}" && shift ;;
            *) fail "unknown option $1" ;;
        esac
        shift
    done
    BASE="$(base_folder)"
    case "$command" in
        start) start "$kind" "$owner" ;;
        url)
            folder="$(cluster_of "$owner" "$kind")"
            cat "$folder/url"
            ;;
        kill)
            folder="$(cluster_of "$owner" "$kind")"
            kill -9 "$(head -n 1 "$folder/cluster/postmaster.pid")"
            ;;
        revive)
            folder="$(cluster_of "$owner" "$kind")"
            revive "$folder"
            ;;
        stop) clusters_of "$owner" | while IFS= read -r folder; do remove_cluster "$folder"; done ;;
        *) fail "start, url, stop, kill or revive, not '$command'" ;;
    esac
}

main "$@"
