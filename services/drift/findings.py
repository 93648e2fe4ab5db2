"""Puts a shift into a record, and into words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final, NamedTuple

from riverrun.drift.shifts import Mark, Shift
from riverrun.drift.signals import Encoder, Move, Signal
from riverrun.records.items import Drift, Source

__all__ = ["Place", "finding"]

_CRITICAL: Final = 2.0
_OTHERS: Final = "(others)"


class Place(NamedTuple):
    """Where a shift was found: of which records, at which one, and the watermark then."""

    source: Source
    segment: str
    at: Mark


def finding(shift: Shift, signal: Signal, encoder: Encoder, place: Place, detectors: Sequence[str]) -> Drift:
    """Return the record that tells of a shift.

    Parameters
    ----------
    shift
        What has moved.
    signal, encoder
        The signal that did, and what knows the names of its categories.
    place
        Where.
    detectors
        The detectors of concept drift that agree, by name.
    """
    identity = "\n".join(
        (shift.kind, signal.subject, place.segment, *map(str, place.source[:2]), str(place.at.position))
    )
    labels = tuple(encoder.label(code) for code in shift.codes)
    return Drift(
        id=blake2b(identity.encode(), digest_size=16).hexdigest(),
        kind=shift.kind,
        severity="critical" if shift.value >= _CRITICAL * shift.threshold else "warning",
        subject=signal.subject,
        segment=place.segment,
        statistic=shift.statistic,
        value=shift.value,
        threshold=shift.threshold,
        p_value=shift.p_value,
        since_offset=shift.since.position,
        since_time=shift.since.time,
        detected_offset=place.at.position,
        time=place.at.time,
        edges=shift.edges,
        labels=(*labels, _OTHERS) if signal.category else (),
        reference=shift.reference,
        current=shift.current,
        message=_message(shift, signal, place, detectors),
        source=place.source,
    )


def _message(shift: Shift, signal: Signal, place: Place, detectors: Sequence[str]) -> str:
    topic, partition, _ = place.source
    where = f" where {place.segment}" if place.segment else ""
    agree = f"; {', '.join(detectors)} agree" if detectors else ""
    since = datetime.fromtimestamp(shift.since.time / 1_000, UTC).isoformat(timespec="seconds")
    return (
        f"{_what(shift, signal)}{where}: {shift.statistic} {shift.value:.3g}, {shift.threshold:.3g} and more counts"
        f"{agree}. Since about record {shift.since.position} of {topic}[{partition}], {since}."
    )


def _what(shift: Shift, signal: Signal) -> str:
    subject, before, now = signal.subject, shift.before, shift.now
    if shift.test is Move.MISSING:
        return f"{now:.1%} of {subject} is missing, {before:.1%} was"
    if shift.test is Move.STALE:
        return f"{subject} has repeated itself {now:.0f} times, {before:.0f} at most before"
    if shift.test is Move.SHARE:
        return f"{now:.1%} of the predictions end without a label, {before:.1%} did"
    if shift.test is Move.RISE:
        return f"The mean error of {subject} is {now:.4g}, it was {before:.4g}"
    if shift.test is Move.BALANCE:
        return f"What {subject} predicts is off by {now:+.4g} on average, it was {before:+.4g}"
    names = {
        "input": f"The feature {subject}",
        "prediction": f"What {subject} predicts",
        "label": "The label",
        "label-delay": "How long labels take",
    }
    means = "" if signal.category else f" (mean {now:.4g}, it was {before:.4g})"
    return f"{names.get(shift.kind, subject)} is distributed otherwise{means}"
