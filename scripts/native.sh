#!/usr/bin/env bash
# The packages with their inner loops compiled, in build/native: to be put first on Python's path. Made anew where what
# they are made from has changed, so never older than the source.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=.venv/bin/python
folder=build/native
stamp=$folder/.made-from

made_from() {
    { find shared services schemas -name '*.py' -o -name '*.avsc' | sort | xargs cat && cat pyproject.toml scripts/native_build.py requirements.lock; } | cksum
}

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(made_from)" ]; then
    exit 0
fi
printf 'riverrun: compiling the inner loops (a minute or two, once for each version)\n' >&2
rm -rf "$folder"
HATCH_BUILD_HOOKS_ENABLE=1 "$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
    --target "$folder" .
made_from >"$stamp"
