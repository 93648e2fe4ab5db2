#!/usr/bin/env bash
# Resolve pyproject.toml into a lock with hashes that holds on every platform and Python it allows.
# Packages keep their locked versions unless an argument says otherwise: `-P numpy` for one, `--upgrade` for all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v uv >/dev/null; then
    echo "riverrun: locking needs uv, the only step that does: pip install uv" >&2
    exit 1
fi
uv pip compile pyproject.toml --all-extras \
    --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-annotate \
    --custom-compile-command "make lock" --quiet --output-file requirements.lock "$@"
echo "requirements.lock: $(grep -c '==' requirements.lock) packages"
