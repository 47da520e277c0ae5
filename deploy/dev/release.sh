#!/usr/bin/env bash
# The server as it is released: target/release/tollgate, optimised by a profile of itself under load (PGO). It builds the server twice.
#
# The load is that of `make bench`. Without LLVM's `llvm-profdata` of rustc's version, or with PGO=off, it is built without a profile.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

readonly WORK="$ROOT/target/pgo"

# build FLAGS FOLDER: with a target named, the flags are not those of build scripts and macros.
build() {
    RUSTFLAGS="$1" cargo build --locked --release --bin tollgate --target "$(rust_host)" --target-dir "$WORK/$2"
    built="$WORK/$2/$(rust_host)/release/tollgate"
}

# Runs the load on a server that counts what it does; it writes its counts when it ends.
train() {
    mkdir -p "$WORK/load"
    cp "$built" target/release/bench target/release/sim "$WORK/load"
    trap 'deploy/dev/test-postgres.sh stop --owner $$' EXIT
    eval "export $(deploy/dev/test-postgres.sh start --durable --owner $$)"
    export BENCH_DATABASE_URL="$TEST_DURABLE_DATABASE_URL"
    "$WORK/load/bench" proxy --seconds 10 --rounds 1 --out "$WORK/load/proxy.json"
    "$WORK/load/bench" streams --seconds 5 --rate 100 --streams 200 --stream-seconds 5 --out "$WORK/load/streams.json"
}

cargo build --locked --release --workspace --bin bench --bin sim
if [[ ${PGO:-on} == off ]] || ! profdata="$(llvm_profdata)"; then
    printf 'built without a profile of its load\n' >&2
    cargo build --locked --release --bin tollgate
    exit
fi
rm -rf "$WORK/counts"
build "-Cprofile-generate=$WORK/counts" counting
train
"$profdata" merge --output="$WORK/load.profdata" "$WORK"/counts/*.profraw
build "-Cprofile-use=$WORK/load.profdata" optimised
cp "$built" target/release/tollgate
