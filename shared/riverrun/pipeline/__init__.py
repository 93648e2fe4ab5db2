"""The pipeline file's language: streams, expressions, aggregates, labels, models, and what checks them."""

from riverrun.pipeline.aggregates import (
    count,
    decayed_mean,
    distinct,
    last,
    max_,
    mean,
    min_,
    quantile,
    sum_,
    variance,
)
from riverrun.pipeline.closures import Compiled
from riverrun.pipeline.compiling import compile_expression
from riverrun.pipeline.drift import Drift
from riverrun.pipeline.errors import DefinitionError, ExpressionError, LoadError
from riverrun.pipeline.expressions import Aggregate, Expression, FieldRef
from riverrun.pipeline.functions import abs_, hour_of, log1p, maximum, minimum, sqrt, to_number, weekday_of
from riverrun.pipeline.kinds import ValueType, kind_of
from riverrun.pipeline.label import Label
from riverrun.pipeline.load import load
from riverrun.pipeline.locations import Location
from riverrun.pipeline.model import Model
from riverrun.pipeline.pipeline import Pipeline, Task
from riverrun.pipeline.schemas import FieldType, Kind
from riverrun.pipeline.streams import Stream
from riverrun.pipeline.traversal import aggregates_in, describe, fields_in

__all__ = [
    "Aggregate",
    "Compiled",
    "DefinitionError",
    "Drift",
    "Expression",
    "ExpressionError",
    "FieldRef",
    "FieldType",
    "Kind",
    "Label",
    "LoadError",
    "Location",
    "Model",
    "Pipeline",
    "Stream",
    "Task",
    "ValueType",
    "abs_",
    "aggregates_in",
    "compile_expression",
    "count",
    "decayed_mean",
    "describe",
    "distinct",
    "fields_in",
    "hour_of",
    "kind_of",
    "last",
    "load",
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
