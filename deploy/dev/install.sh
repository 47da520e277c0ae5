#!/usr/bin/env bash
# Installs what is missing on a Debian machine. As root it installs; as anyone else it names what is missing and exits 1.
#
#   install.sh run     what `make run` needs (the default)
#   install.sh test    also what `make test` needs
#   install.sh bench   also what `make bench` needs
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

purpose="${1:-run}"
case "$purpose" in
    run | test | bench) ;;
    *) fail "unknown purpose '$purpose': run, test or bench" ;;
esac

packages=()

# need PACKAGE COMMAND...: the package, unless the command succeeds.
need() {
    local package="$1"
    shift
    if ! "$@" >/dev/null 2>&1; then
        packages+=("$package")
    fi
}

list_missing_packages() {
    need postgresql postgres_bin
    need postgresql-client has psql
    need build-essential has cc
    need pkg-config has pkg-config
    [[ $purpose == run ]] && return
    need python3 has python3
    need python3-venv python3 -c 'import ensurepip, venv'
    need python3-pip python3 -m pip --version
    need nodejs has node
    need npm has npm
    need redis-server has redis-server
    need nginx-light has_in_sbin nginx
    need wrk has wrk
    [[ $purpose == test ]] && return
    # Without it the server is built without a profile of its load; not every Debian has rustc's version.
    if debian_has "llvm-$(llvm_major)"; then
        need "llvm-$(llvm_major)" llvm_profdata
    fi
}

# debian_has PACKAGE: looks again when the lists may be missing or old.
debian_has() {
    apt-cache show "$1" >/dev/null 2>&1 && return
    ((EUID == 0)) && apt-get update --quiet=2 && apt-cache show "$1" >/dev/null 2>&1
}

# Debian keeps some servers where only root's PATH looks.
has_in_sbin() {
    PATH="$PATH:/usr/sbin:/sbin" has "$1"
}

install_packages() {
    ((${#packages[@]} == 0)) && return
    if ((EUID != 0)); then
        fail "missing, and only root can install: apt-get install ${packages[*]}$(has cargo || echo "; and Rust, with rustup")"
    fi
    printf 'installing %s\n' "${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update --quiet=2
    apt-get install --quiet=2 --yes --no-install-recommends "${packages[@]}" </dev/null
}

check_rust() {
    has cargo || fail "missing: Rust, as Cargo.toml's rust-version says; install it with rustup"
}

# rust_component NAME COMMAND: left out of rustup's minimal profile.
rust_component() {
    cargo "$2" --version >/dev/null 2>&1 || rustup component add "$1"
}

# cargo_tool NAME: built from source, once per machine.
cargo_tool() {
    has "$1" && return
    printf 'building %s\n' "$1"
    # Outside the workspace, whose settings are not for it.
    (cd / && cargo install --locked --quiet "$1" </dev/null)
}

list_missing_packages
install_packages
check_rust
if [[ $purpose != run ]]; then
    rust_component rustfmt fmt
    rust_component clippy clippy
    cargo_tool cargo-nextest
    cargo_tool cargo-machete
fi
