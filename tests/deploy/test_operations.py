"""The operations page says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from riverrun.launch import process
from riverrun.runtime.degradations import Degradation
from riverrun.runtime.metrics import METRICS, MetricDefinition
from riverrun.telemetry.settings import HEALTH_HOST, HEALTH_PORT, TRACES_PER_SECOND, Sampling

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("what", Degradation)
def test_every_degradation_is_explained_there(what: Degradation) -> None:
    """The row of a degraded state has the words that the service itself tells."""
    assert f"| `{what.value}` | {what.explanation} | {what.still} | {what.advice} |" in PAGE


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_explained_there(metric: MetricDefinition) -> None:
    """The row of a metric is its definition."""
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    row = f"| `{metric.name}` | {metric.kind.value} | {metric.unit} | {labels} | {metric.tells} | {metric.advice} |"
    assert row in PAGE


def test_there_is_nothing_else() -> None:
    """No row is left of a metric or a state that is gone."""
    rows = set(re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE))
    assert rows == {metric.name for metric in METRICS} | {what.value for what in Degradation}


def test_settings_are_named_as_they_are_read() -> None:
    """Names and defaults of settings are those of the code and of the compose file."""
    for name in (HEALTH_HOST, HEALTH_PORT, TRACES_PER_SECOND):
        assert f"`{name}`" in PAGE
    sampling = Sampling()
    assert f"| `OTEL_TRACES_SAMPLER_ARG` | {sampling.ratio} |" in PAGE
    assert f"| `{TRACES_PER_SECOND}` | {sampling.per_second} |" in PAGE
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    asked = set(re.findall(r"\$\{(\w+):", compose))
    assert {name for name in asked if name not in PAGE} == set()
    ports = {str(port) for service in yaml.safe_load(compose)["services"].values() for port in service.get("ports", ())}
    assert {port.split(":")[1] for port in ports} <= set(re.findall(r"\d{4}", PAGE))


def test_exit_codes_are_those_of_the_process() -> None:
    """What ends a process is told by the code that it ends with."""
    for code, words in (
        (process.EXIT_FAILED, "something was found wrong"),
        (process.EXIT_USAGE, "wrong settings"),
        (process.EXIT_UNAVAILABLE, "a server is away"),
        (process.EXIT_DRAIN_EXCEEDED, "it ended before it had drained"),
    ):
        assert f"{code} {words}" in PAGE.replace("\n", " ")
