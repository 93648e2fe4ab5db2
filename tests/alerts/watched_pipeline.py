"""The pipeline of the alerts' tests: nothing flows through it, what its stages would report is made up.

Each test runs a copy of this file. The copy's folder gives the pipeline its name, and so its topics.
"""

from __future__ import annotations

import os
from pathlib import Path

from river import linear_model

from riverrun import Label, Model, Pipeline, Stream
from riverrun.pipeline.alerts import ChampionRule, DeadLetterRule, DriftRule, QualityRule, Route, SilenceRule

NAME = Path(__file__).parent.name
FIELDS = [{"name": name, "type": kind} for name, kind in (("id", "string"), ("at", "long"), ("size", "double"))]


def _stream(name: str) -> Stream:
    schema = {"type": "record", "name": name.capitalize(), "fields": FIELDS}
    return Stream(f"{NAME}-raw.{name}", schema=schema, key="id", time="at", id="id")


asked, answered = _stream("asked"), _stream("answered")
HOOK = os.environ.get("TEST_HOOK", "")

pipeline = Pipeline(
    name=NAME,
    predict_on=asked,
    features={"size": asked.size},
    label=Label(answered.size > 1, join="id", wait="1h", otherwise=False),
    champion=Model("line", linear_model.LogisticRegression),
    challengers=[Model("other", linear_model.LogisticRegression)],
    alerts=[
        QualityRule(name="quality", metric="ROCAUC", below=0.7, severity="warning", cooldown="1h", burst=1_000_000),
        ChampionRule(name="champion", severity="info", cooldown="1ms"),
        DeadLetterRule(name="dead", share=0.1, over="1h", least=10),
        SilenceRule(name="silence", stream="asked", over="6h"),
        DriftRule(name="drift", cooldown="1h", burst=3, digest="1d"),
        *([Route(name="hook", url=HOOK, secret="HOOK", rules=["quality"])] if HOOK else []),
    ],
)
