"""riverrun: online machine learning on Kafka, exactly once."""

from riverrun.pipeline import (
    Drift,
    Label,
    Model,
    Pipeline,
    Stream,
    abs_,
    count,
    decayed_mean,
    distinct,
    hour_of,
    last,
    log1p,
    max_,
    maximum,
    mean,
    min_,
    minimum,
    quantile,
    sqrt,
    sum_,
    to_number,
    variance,
    weekday_of,
)
from riverrun.river_imports import import_river

__version__ = "0.1.0"

__all__ = [
    "Drift",
    "Label",
    "Model",
    "Pipeline",
    "Stream",
    "__version__",
    "abs_",
    "count",
    "decayed_mean",
    "distinct",
    "hour_of",
    "last",
    "log1p",
    "max_",
    "maximum",
    "mean",
    "min_",
    "minimum",
    "quantile",
    "sqrt",
    "sum_",
    "to_number",
    "variance",
    "weekday_of",
]

# Before any other module of ours, or a pipeline file, imports River in full.
import_river()
