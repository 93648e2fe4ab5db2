"""The image: what its file says, and that what is left out of it is not needed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
EXTRAS = ("alerts", "gateway", "telemetry")

WITHOUT = """
import sys
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions
from packaging.utils import canonicalize_name

unneeded = set(sys.argv[1].split())
blocked = {
    module
    for module, owners in packages_distributions().items()
    if all(canonicalize_name(owner) in unneeded for owner in owners)
}

class WithoutBlocked(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in blocked else PathFinder.find_spec(name, path, target)

sys.meta_path = [WithoutBlocked if finder is PathFinder else finder for finder in sys.meta_path]
for name in sys.argv[2:]:
    import_module(name)
print(len(blocked))
"""


@pytest.fixture(scope="module")
def unneeded() -> set[str]:
    """The packages that the image does without."""
    ran = subprocess.run(
        [sys.executable, str(ROOT / "scripts/unneeded_packages.py"), *EXTRAS],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ran.stdout.split())


def test_what_is_left_out_is_what_tests_and_the_demo_need(unneeded: set[str]) -> None:
    """Tools of tests are left out; whatever the services declare stays."""
    assert {"pytest", "hypothesis", "mypy", "lightgbm", "matplotlib", "pandas"} <= unneeded
    stays = {"riverrun", "river", "confluent-kafka", "redis", "rocksdict", "fastapi", "uvicorn", "apprise"}
    assert not unneeded & (
        stays | {"faust-streaming", "opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http", "pip"}
    )


def test_services_start_without_what_is_left_out(unneeded: set[str]) -> None:
    """Every service, the command line and telemetry can be imported where the left-out packages are missing."""
    services = sorted(file.parent.name for file in ROOT.glob("services/*/wiring.py"))
    modules = [f"services.{name}.wiring" for name in services]
    modules += ["services.alerts.start", "riverrun.launch.gateway", "riverrun.cli", "riverrun.launch.service"]
    modules += ["riverrun.telemetry.otlp_traces", "riverrun.telemetry.otlp_metrics", "riverrun.telemetry.endpoint"]
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT, " ".join(unneeded), *modules],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) > 20


def test_the_image_is_built_from_pinned_parts() -> None:
    """Base images have a full version, and packages come by the lock with every file's hash checked."""
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", bases[0])
    assert "--require-hashes -r requirements.lock" in DOCKERFILE
    assert "--no-deps --no-build-isolation ." in DOCKERFILE


def test_the_image_does_not_run_as_root() -> None:
    """The last word on the user is a number that is not root's, and it owns what it writes to."""
    users = re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)
    assert users == ["10001:10001"]
    assert "--owner 10001 --group 10001 /data /models" in DOCKERFILE


def test_what_is_copied_is_let_through() -> None:
    """Each path that the Dockerfile copies exists and is not kept out by .dockerignore, which lets nothing else in."""
    copied = {
        path for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for path in line.split()[:-1]
    }
    allowed = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    assert copied == allowed
    assert all((ROOT / path).exists() for path in copied)
