# shellcheck shell=bash
# Shared by the scripts of this folder, which source it: the repository's root and the machine's PostgreSQL.

# shellcheck disable=SC2034  # read by the scripts that source this file
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# The folder of the server's programs: that of PATH's initdb (a link may stand there alone), else Debian's newest.
postgres_bin() {
    local initdb
    if initdb="$(command -v initdb)"; then
        dirname "$(readlink -f "$initdb")"
        return
    fi
    initdb="$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -t/ -k5,5nr | head -n 1)"
    [[ -x $initdb ]] || return 1
    dirname "$initdb"
}

rust_host() {
    rustc --version --verbose | sed -n 's/^host: //p'
}

# The program that merges profiles, of the LLVM that rustc is built with: rustup's (llvm-tools), else Debian's.
llvm_profdata() {
    local program
    for program in "$(rustc --print sysroot)/lib/rustlib/$(rust_host)/bin/llvm-profdata" "/usr/lib/llvm-$(llvm_major)/bin/llvm-profdata"; do
        [[ -x $program ]] && echo "$program" && return
    done
    return 1
}

llvm_major() {
    rustc --version --verbose | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p'
}

# Runs a program as PostgreSQL may run: as ourselves, or as user postgres when we are root.
as_postgres() {
    if ((EUID == 0)); then
        setpriv --reuid=postgres --regid=postgres --init-groups -- env --chdir=/ "$@"
    else
        env --chdir=/ "$@"
    fi
}
