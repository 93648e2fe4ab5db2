"""What is said of the packages: vulnerable, fine, or not checked, and never the one for the other."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_SPEC = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
assert _SPEC is not None
assert _SPEC.loader is not None
SCRIPT = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(SCRIPT)

FINE = {"name": "river", "version": "0.26.1", "vulns": []}
UNASKED = {"name": "numpy", "skip_reason": "Dependency not found on PyPI"}
HOLED = {"name": "leaky", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([FINE], 0, "no known vulnerabilities in 1 packages"),
        ([FINE, UNASKED], 69, "not checked: numpy"),
        ([UNASKED], 69, "SKIPPED, nothing was checked"),
        ([], 69, "SKIPPED, nothing was checked"),
        ([FINE, UNASKED, HOLED], 1, "leaky 1.0: PYSEC-1, mended in 1.1"),
    ],
)
def test_the_verdict_follows_from_what_was_asked(packages: list[dict[str, Any]], code: int, said: str) -> None:
    """A hole fails whatever else was found; what was not asked about never counts as fine."""
    found, words = SCRIPT.verdict({"dependencies": packages})
    assert found == code
    assert said in "\n".join(words)


def test_only_a_hole_fails_where_the_network_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``--required`` an audit that could not be made ends well; a hole never does."""
    for report, plain, required in (({}, 0, 69), ({"dependencies": [HOLED]}, 1, 1), ({"dependencies": [FINE]}, 0, 0)):
        monkeypatch.setattr(SCRIPT, "_audited", lambda report=report: report)
        assert (SCRIPT.main([]), SCRIPT.main(["--required"])) == (plain, required)


def test_every_locked_package_has_hashes() -> None:
    """No line of the lock installs anything but files of known hashes."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(lines) > 50
    for line in lines:
        assert re.search(r"==\S+.*--hash=sha256:[0-9a-f]{64}", line), line
