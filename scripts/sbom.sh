#!/usr/bin/env bash
# The bill of materials, CycloneDX in JSON, of exactly what requirements.lock installs, with its hashes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=${1:-build/sbom.cdx.json}
mkdir -p "$(dirname "$out")"
# Its warning is that no packages were looked at beyond the file, which is what is wanted.
.venv/bin/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml \
    --output-format JSON --output-reproducible --validate --output-file "$out" 2>"$out.log" ||
    { cat "$out.log" >&2 && exit 1; }
rm "$out.log"
locked=$(grep -c '^[^ #].*==' requirements.lock)
listed=$(.venv/bin/python -c 'import json, sys; print(len(json.load(open(sys.argv[1]))["components"]))' "$out")
[ "$locked" -eq "$listed" ] || { echo "riverrun: $locked packages are locked, the SBOM has $listed" >&2 && exit 1; }
echo "$out: $listed packages"
