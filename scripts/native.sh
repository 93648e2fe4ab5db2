#!/usr/bin/env bash
# The packages with their inner loops compiled, in build/native: to be put first on Python's path. Made anew where what
# they are made from has changed, so never older than the source.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=.venv/bin/python
folder=build/native
stamp=$folder/.made-from

# Names and contents: a file that was moved is another.
made_from() {
    {
        find shared services schemas -type f -not -path '*/__pycache__/*' | LC_ALL=C sort | xargs cksum
        cksum pyproject.toml requirements.lock scripts/native_build.py scripts/native.sh
        "$python" -VV
    } | cksum
}

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(made_from)" ]; then
    exit 0
fi
include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
if ! command -v "${CC:-cc}" >/dev/null || [ ! -f "$include/Python.h" ]; then
    printf 'riverrun: compiling needs a C compiler and %s/Python.h; run: apt-get install gcc libc6-dev python3-dev' "$include" >&2
    printf ' (dnf install gcc python3-devel, apk add gcc musl-dev python3-dev, xcode-select --install)\n' >&2
    exit 1
fi
printf 'riverrun: compiling the inner loops (a minute or two, once for each version)\n' >&2
rm -rf "$folder"
HATCH_BUILD_HOOK_ENABLE_CUSTOM=1 "$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
    --target "$folder" .
made_from >"$stamp"
