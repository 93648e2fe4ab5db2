"""Samples as text, in the format that Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, groupby
from math import inf
from typing import Final

from riverrun.runtime.meter import Distribution, Sample

__all__ = ["CONTENT_TYPE", "exposition"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Labels = Sequence[tuple[str, str]]


def exposition(samples: Iterable[Sample], common: Mapping[str, str]) -> str:
    """Return samples in the Prometheus text format, version 0.0.4.

    Parameters
    ----------
    samples
        With all of a metric's series in a row.
    common
        Labels that every series gets.

    Examples
    --------
    >>> from riverrun.runtime.metrics import LAG
    >>> lines = exposition([Sample(LAG, ("ingest", "0"), 7.0)], {"pipeline": "flights"}).splitlines()
    >>> lines[1]
    '# TYPE riverrun_lag_records gauge'
    >>> lines[2]
    'riverrun_lag_records{pipeline="flights",chain="ingest",partition="0"} 7'
    """
    lines: list[str] = []
    for metric, series in groupby(samples, key=lambda sample: sample.metric):
        lines.append(f"# HELP {metric.name} {_escaped(metric.tells)}")
        lines.append(f"# TYPE {metric.name} {metric.kind.value}")
        for sample in series:
            labels = [*common.items(), *zip(metric.labels, sample.labels, strict=True)]
            if isinstance(sample.value, Distribution):
                lines.extend(_histogram(metric.name, labels, metric.buckets, sample.value))
            else:
                lines.append(f"{metric.name}{_braced(labels)} {_number(sample.value)}")
    return "\n".join(lines) + "\n"


def _histogram(name: str, labels: Labels, bounds: Sequence[float], value: Distribution) -> Iterable[str]:
    below = list(accumulate(value.counts))
    for bound, count in zip((*bounds, inf), below, strict=True):
        edge = "+Inf" if bound == inf else _number(bound)
        yield f"{name}_bucket{_braced([*labels, ('le', edge)])} {count}"
    yield f"{name}_sum{_braced(labels)} {_number(value.total)}"
    yield f"{name}_count{_braced(labels)} {below[-1]}"


def _braced(labels: Labels) -> str:
    inside = ",".join(f'{name}="{_quoted(value)}"' for name, value in labels)
    return f"{{{inside}}}" if inside else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')
