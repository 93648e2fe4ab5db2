"""Prometheus' rules and Grafana's dashboard name only metrics and labels that exist, and services that run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from riverrun.runtime.degradations import Degradation
from riverrun.runtime.metrics import METRICS, Kind

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/riverrun.json").read_text(encoding="utf-8"))
RULES = yaml.safe_load((DEPLOY / "alert-rules.yml").read_text(encoding="utf-8"))
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
ALWAYS = {"pipeline", "instance", "job", "le"}
"""Labels that every series has, or that Prometheus adds."""

_SERIES = re.compile(r"\b(riverrun_[a-z_]+)\b")
_SELECTED = re.compile(r"\b(riverrun_[a-z_]+)\{([^}]*)\}")
_GROUPED = re.compile(r"by \(([^)]*)\)\s*\(")


def known() -> dict[str, set[str]]:
    """Return the labels of every series that is exposed, by its name."""
    found: dict[str, set[str]] = {}
    for metric in METRICS:
        suffixes = ("_bucket", "_sum", "_count") if metric.kind is Kind.HISTOGRAM else ("",)
        found |= {metric.name + suffix: set(metric.labels) for suffix in suffixes}
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Return every query with its legend."""
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"], target["legendFormat"]
    for rule in RULES["groups"][0]["rules"]:
        yield rule["expr"], " ".join(rule["annotations"].values()).replace("$labels.", "")


def test_queries_name_metrics_and_labels_that_exist() -> None:
    """A metric that was renamed, or a label that it does not have, would show an empty panel or never alert."""
    labels = known()
    for query, legend in queries():
        names = set(_SERIES.findall(query))
        assert names <= labels.keys(), query
        allowed = ALWAYS.union(*(labels[name] for name in names))
        for name, selectors in _SELECTED.findall(query):
            for selector in re.findall(r"(\w+)\s*[=!]~?", selectors):
                assert selector in labels[name] | ALWAYS, query
        for group in _GROUPED.findall(query):
            assert {label.strip() for label in group.split(",")} <= allowed, query
        for label in re.findall(r"\{\{\s*(\w+)\s*\}\}", legend):
            assert label in allowed | {"value"}, legend


def test_every_metric_is_on_the_dashboard_or_in_a_rule() -> None:
    """What nobody looks at need not be measured; the counts of traces are for whoever sets tracing up."""
    shown = {name for query, _ in queries() for name in _SERIES.findall(query)}
    bare = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    assert {metric.name for metric in METRICS} - bare == {"riverrun_traced_total", "riverrun_batch_seconds"}


def test_the_dashboard_is_whole() -> None:
    """Panels have their own ids, say what they show, and do not lie over one another."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in panels():
        assert panel["description"].endswith(".")
        assert panel["datasource"]["uid"] == "prometheus"
    for first, second in combinations([panel["gridPos"] for panel in DASHBOARD["panels"]], 2):
        apart = (
            first["x"] + first["w"] <= second["x"]
            or second["x"] + second["w"] <= first["x"]
            or first["y"] + first["h"] <= second["y"]
            or second["y"] + second["h"] <= first["y"]
        )
        assert apart, (first, second)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in DASHBOARD["panels"])


def test_grafana_finds_its_data_and_its_dashboard() -> None:
    """The data source's uid is the dashboard's, its address is the service, and the folder is the one mounted."""
    (source,) = yaml.safe_load(
        (DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text(encoding="utf-8")
    )["datasources"]
    assert (source["uid"], source["url"]) == ("prometheus", "http://prometheus:9090")
    (provider,) = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/riverrun.yml").read_text(encoding="utf-8"))[
        "providers"
    ]
    folder = provider["options"]["path"]
    assert f"./deploy/grafana/dashboards:{folder}:ro" in SERVICES["grafana"]["volumes"]
    assert SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == f"{folder}/riverrun.json"


def test_prometheus_reads_every_service() -> None:
    """Each service that tells its metrics freely is a target, on the port that it opens."""
    settings = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))
    (targets,) = [
        job["static_configs"][0]["targets"] for job in settings["scrape_configs"] if job["job_name"] == "riverrun"
    ]
    telling = {
        f"{name}:{service['environment']['RIVERRUN_HEALTH_PORT']}"
        for name, service in SERVICES.items()
        if str(service["image"]).startswith("riverrun:") and "profiles" not in service
    }
    assert set(targets) == telling
    assert settings["rule_files"] == ["alert-rules.yml"]
    assert "./deploy/alert-rules.yml:/etc/prometheus/alert-rules.yml:ro" in SERVICES["prometheus"]["volumes"]


def test_rules_say_what_to_do() -> None:
    """Each has a severity, a sentence that says what is wrong, and one that says what to do."""
    for rule in RULES["groups"][0]["rules"]:
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["action"].endswith(".")
    assert len(set(Degradation)) > 5
