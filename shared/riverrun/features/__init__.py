"""Features: mergeable aggregates in panes of event time, and point-in-time vectors made of them. Pure; no clients."""

from riverrun.features.errors import FeaturePlanError, PartialFormatError, StalePartialError
from riverrun.features.plan import FeaturePlan
from riverrun.features.table import FeatureTable, Foreign, ForeignPartial

__all__ = [
    "FeaturePlan",
    "FeaturePlanError",
    "FeatureTable",
    "Foreign",
    "ForeignPartial",
    "PartialFormatError",
    "StalePartialError",
]
