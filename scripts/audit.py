"""Asks for known vulnerabilities of the locked packages: fails if there are any, says so if nobody could be asked.

``audit.py [--required]``: with ``--required`` it fails too when the advisories cannot be had; without, as in CI, which
must not depend on somebody else's service, it ends well with a line that says what was not checked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
LOCK: Final = ROOT / "requirements.lock"
LIMIT_S: Final = 300
FOUND: Final = 1
NOT_ASKED: Final = 69


def main(arguments: Sequence[str]) -> int:
    """Audit the lock; return the exit code."""
    code, words = verdict(_audited())
    print("\n".join(words))
    return 0 if code == NOT_ASKED and "--required" not in arguments else code


def _audited() -> Mapping[str, Any]:
    """Return pip-audit's report, empty if it could not make one."""
    program = Path(sys.executable).with_name("pip-audit")
    options = ["--requirement", str(LOCK), "--require-hashes", "--disable-pip", "--format", "json"]
    command = [str(program), *options, "--progress-spinner", "off", "--timeout", "10"]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        report = json.loads(ran.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}
    return report if isinstance(report, dict) else {}


def verdict(report: Mapping[str, Any]) -> tuple[int, list[str]]:
    """Return the exit code and what there is to say of a report of pip-audit."""
    packages = report.get("dependencies", [])
    unasked = [each["name"] for each in packages if "skip_reason" in each]
    asked = len(packages) - len(unasked)
    words = [_told(each, hole) for each in packages for hole in each.get("vulns", [])]
    if words:
        return FOUND, [*words, f"audit: {len(words)} known vulnerabilities in the {asked} packages that were checked"]
    if asked == 0:
        return NOT_ASKED, ["audit: SKIPPED, nothing was checked: the advisory service cannot be reached from here"]
    if unasked:
        return NOT_ASKED, [f"audit: none known in {asked} packages; not checked: {', '.join(sorted(unasked))}"]
    return 0, [f"audit: no known vulnerabilities in {asked} packages"]


def _told(package: Mapping[str, Any], hole: Mapping[str, Any]) -> str:
    mended = ", ".join(hole["fix_versions"]) or "no version yet"
    return f"{package['name']} {package['version']}: {hole['id']}, mended in {mended}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
