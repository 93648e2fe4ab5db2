"""The join of label and prediction: one key for both streams, or labels would land on other partitions."""

from __future__ import annotations

from collections.abc import Iterator

from riverrun.pipeline.errors import DefinitionError
from riverrun.pipeline.pipeline import Pipeline
from riverrun.pipeline.problems import Problem

__all__ = ["check_join"]


def check_join(pipeline: Pipeline) -> Iterator[Problem]:
    """Check that the label's join field is the key of both streams, of the same kind."""
    label = pipeline.label
    try:
        label_stream = pipeline.label_stream
    except DefinitionError:
        return  # a constant label is reported as such
    streams = [pipeline.predict_on] + ([label_stream] if label_stream is not pipeline.predict_on else [])
    kinds = []
    for stream in streams:
        known = stream.field(label.join)
        if known is None:
            close = stream.suggestions(label.join)
            yield Problem(
                "unknown-field",
                f"the label is joined by {label.join!r}, which the stream {stream.name!r} does not have",
                f"did you mean {' or '.join(map(repr, close))}?" if close else "both streams need it",
                label.location,
            )
            continue
        kinds.append(known.kind)
        if stream.key_field != label.join:
            yield Problem(
                "unusable-key",
                f"the label is joined by {label.join!r}, but the stream {stream.name!r} is keyed by"
                f" {stream.key_field!r}: a label would not meet its prediction",
                f"have its producer key it by {label.join!r} and declare key={label.join!r}",
                label.location,
            )
    if len(kinds) == 2 and kinds[0] is not kinds[1]:
        yield Problem(
            "unusable-key",
            f"{label.join!r} is {kinds[0].value} in {streams[0].name!r}, but {kinds[1].value} in {streams[1].name!r}",
            "use the same type in both schemas",
            label.location,
        )
