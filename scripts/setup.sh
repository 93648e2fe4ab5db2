#!/usr/bin/env bash
# Everything that riverrun needs on a fresh machine: Python packages as locked, Redis, Maven, Kafka's jars.
# Each step is skipped when it is done already, so that running this again costs well under a second.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=.venv
lock=requirements.lock
stamp=$venv/.riverrun-lock

say() { printf 'riverrun: %s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "needs Python 3.11 or newer; install it, or name one: PYTHON=/path/to/python3.11 make setup"
}

# The environment is current when it was made from this very lock and this very pyproject.toml, here.
wanted_stamp() {
    { cat "$lock" pyproject.toml && pwd; } | cksum
}

install_packages() {
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted_stamp)" ]; then
        return
    fi
    local python
    if [ ! -x "$venv/bin/python" ]; then
        python=$(find_python)
        say "making $venv with $("$python" --version)"
        "$python" -m venv "$venv" ||
            fail "$python cannot make an environment; on Debian and Ubuntu: apt-get install python3-venv"
    fi
    say "installing the locked Python packages (a minute or two, once)"
    rm -f "$stamp"
    if command -v uv >/dev/null; then
        uv pip install --quiet --python "$venv/bin/python" --require-hashes -r "$lock"
    else
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
    fi
    # hatchling comes from the lock, hence no isolated build that would fetch another one.
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
    wanted_stamp >"$stamp"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n "$@"
    else
        return 1
    fi
}

install_by_package_manager() { # one package name for each of: apt-get, dnf, apk, brew
    if command -v apt-get >/dev/null; then
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$1" ||
            { as_root apt-get -qq update &&
                as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$1"; }
    elif command -v dnf >/dev/null; then
        as_root dnf -q -y install "$2"
    elif command -v apk >/dev/null; then
        as_root apk add --quiet "$3"
    elif command -v brew >/dev/null; then
        brew install --quiet "$4"
    else
        return 1
    fi
}

ensure_redis() {
    if [ -n "${RIVERRUN_REDIS:-}" ] || command -v redis-server >/dev/null || command -v valkey-server >/dev/null; then
        return
    fi
    say "installing redis-server"
    # What package managers print goes to stderr; some start the server, which does no harm: ours has its own port.
    install_by_package_manager redis-server redis redis redis >&2 ||
        fail "redis-server is missing and cannot be installed from here; run: apt-get install redis-server" \
            "(dnf install redis, apk add redis, brew install redis), or set RIVERRUN_REDIS"
}

# The demo's baseline, LightGBM, links to the OpenMP runtime, which slim images lack.
ensure_openmp() {
    if [ "$(uname)" = Linux ]; then
        # ldconfig is not on everybody's path, and musl has none that lists.
        if { PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null || true; } | grep -q 'libgomp\.so\.1' ||
            compgen -G '/usr/lib*/libgomp.so.1' >/dev/null || compgen -G '/usr/lib/*/libgomp.so.1' >/dev/null; then
            return
        fi
    elif ! command -v brew >/dev/null || [ -e "$(brew --prefix)/opt/libomp" ]; then
        return
    fi
    say "installing the OpenMP runtime"
    install_by_package_manager libgomp1 libgomp libgomp libomp >&2 ||
        fail "the OpenMP runtime (libgomp) is missing and cannot be installed from here; run: apt-get install libgomp1" \
            "(dnf install libgomp, apk add libgomp, brew install libomp)"
}

# Where riverrun.embedded.jars puts them; asking Python would cost a second each time.
kafka_folder() {
    local version
    version=$(sed -n 's/^KAFKA_VERSION = "\(.*\)"$/\1/p' shared/riverrun/embedded/jars.py)
    echo "${RIVERRUN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/riverrun}/kafka-$version"
}

ensure_kafka() {
    if [ -n "${RIVERRUN_KAFKA:-}" ] || [ -d "$(kafka_folder)" ]; then
        return
    fi
    if ! command -v mvn >/dev/null; then
        say "installing Maven"
        install_by_package_manager maven maven maven maven >&2 ||
            fail "mvn is missing and cannot be installed from here; run: apt-get install maven" \
                "(dnf install maven, apk add maven, brew install maven), or set RIVERRUN_KAFKA"
    fi
    "$venv/bin/python" -m riverrun.embedded --fetch
}

install_packages
ensure_openmp
ensure_redis
ensure_kafka
