"""What the pages say is so: settings and their defaults, decisions in the index, files that are named."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from riverrun.events.settings import IngestSettings
from riverrun.pipeline.check import check_file
from riverrun.runtime.settings import Settings
from riverrun.telemetry.settings import Sampling
from services.gateway.settings import GatewaySettings

ROOT = Path(__file__).parents[2]
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/*/README.md")])
_VARIABLE = re.compile(r"\b(?:RIVERRUN|SCHEMA_REGISTRY)(?:_[A-Z]+)+\b")


def _rows() -> Iterator[tuple[list[str], list[str]]]:
    """Yield the variables and the defaults of each row."""
    for line in SETTINGS.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) >= 5 and (found := _VARIABLE.findall(cells[1])):
            yield found, [each.strip().strip("`") for each in cells[2].split(",")]


def test_every_variable_that_is_read_is_on_the_page() -> None:
    """And none is there that nobody reads."""
    read = set()
    for folder in ("shared", "services"):
        for file in (ROOT / folder).rglob("*.py"):
            read |= set(re.findall(r'"((?:RIVERRUN|SCHEMA_REGISTRY)(?:_[A-Z]+)+)"', file.read_text(encoding="utf-8")))
    made: list[tuple[str, Any]] = [("RIVERRUN_", Settings()), ("RIVERRUN_GATEWAY_", GatewaySettings())]
    read |= {
        prefix + field.name.upper()
        for prefix, settings in made
        for field in fields(settings)
        if isinstance(getattr(settings, field.name), int | str) and field.name != "model_store"
    }
    said = set(_VARIABLE.findall(SETTINGS)) - {"RIVERRUN_CHANNEL"}
    files = {"RIVERRUN_KAFKA_PASSWORD_FILE", "RIVERRUN_REDIS_PASSWORD_FILE"}
    assert said == read | files


@pytest.mark.parametrize(
    ("prefix", "settings"),
    [
        ("RIVERRUN_", Settings()),
        ("RIVERRUN_", IngestSettings()),
        ("RIVERRUN_GATEWAY_", GatewaySettings()),
        ("RIVERRUN_TRACES_", Sampling()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_defaults_are_those_of_the_code(prefix: str, settings: object) -> None:
    """Of each setting that is a number, a switch or an address."""
    said: dict[str, str] = {}
    for names, defaults in _rows():
        said |= dict(zip(names, defaults if len(defaults) == len(names) else defaults * len(names), strict=True))
    compared = 0
    for field in fields(settings):  # type: ignore[arg-type]
        value, name = getattr(settings, field.name), prefix + field.name.upper()
        if isinstance(value, bool | int) and name in said:
            assert said[name] == str(value).lower(), name
            compared += 1
    assert compared


def test_every_decision_is_in_the_index() -> None:
    """Whoever looks for one finds it there."""
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs" / "decisions").glob("0*.md")}
    assert set(re.findall(r"\((0\d{3}[a-z0-9-]*\.md)\)", index)) == pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Files that a page links to are there."""
    text = page.read_text(encoding="utf-8")
    targets = {target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target}
    missing = {target for target in targets if target and not (page.parent / target).exists()}
    assert not missing


def test_modules_that_are_named_exist() -> None:
    """A module that a page names in code is somewhere in the project."""
    known = {file.name for file in ROOT.rglob("*.py") if ".venv" not in file.parts}
    wrong = {
        (page.name, name)
        for page in PAGES
        for name in re.findall(r"`(?:[\w/]+/)?(\w+\.py)`", page.read_text(encoding="utf-8"))
        if name not in known and name not in {"flights.py", "parcels.py"}
    }
    assert not wrong


def test_the_readme_s_pipeline_passes_the_check(tmp_path: Path) -> None:
    """As it stands there, beside the flights' schemas."""
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    for schema in (ROOT / "examples" / "flights").glob("*.avsc"):
        shutil.copy(schema, tmp_path)
    file = tmp_path / "flights.py"
    file.write_text(block[1], encoding="utf-8")
    assert [str(problem) for problem in check_file(file)] == []
