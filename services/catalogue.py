"""All stages, in the order in which an event meets them."""

from __future__ import annotations

from services.drift.wiring import DRIFT_ERRORS, DRIFT_INPUTS
from services.features.wiring import FEATURES
from services.ingest.wiring import INGEST
from services.labels.wiring import LABELS
from services.learn.wiring import LEARN
from services.score.wiring import SCORE

__all__ = ["STAGES"]

STAGES = {stage.name: stage for stage in (INGEST, FEATURES, SCORE, LABELS, DRIFT_INPUTS, LEARN, DRIFT_ERRORS)}
