"""Alerts as messages: what people read, and the document that programs get."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from riverrun.delivery.messages import Message
from riverrun.records.items import Alert
from services.alerts.subscriptions import segment_text

__all__ = ["message_of"]

_WORDS = {"raised": "", "escalated": "Escalated: ", "acknowledged": "Acknowledged: ", "resolved": "", "digest": ""}


def message_of(alert: Alert, pipeline: str) -> Message:
    """Return an alert's message; its id is the receiver's idempotency key.

    Parameters
    ----------
    alert
        The alert.
    pipeline
        Whose it is.
    """
    where = f" [{segment_text(alert.segment)}]" if alert.segment else ""
    title = f"{pipeline}: {_WORDS.get(alert.status, '')}{alert.title}{where}"
    lines = [alert.text] if alert.text else []
    if alert.author:
        lines.append(f"Acknowledged by {alert.author}{f': {alert.note}' if alert.note else '.'}")
    if alert.suppressed and alert.status != "digest":
        lines.append(f"Noticed {alert.suppressed:,} more times since it was last told.")
    lines.append(f"{alert.severity}, rule {alert.rule}, {_time(alert.time)}")
    return Message(alert.id, title, "\n".join(lines), alert.severity, _document(alert, pipeline))


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _document(alert: Alert, pipeline: str) -> bytes:
    """Return the body in the shape that Standard Webhooks advises: type, timestamp, data."""
    data = {
        "pipeline": pipeline,
        "id": alert.id,
        "incident": alert.incident,
        "status": alert.status,
        "rule": alert.rule,
        "kind": alert.kind,
        "severity": alert.severity,
        "subject": alert.subject,
        "segment": alert.segment,
        "time": _time(alert.time),
        "title": alert.title,
        "text": alert.text,
        "values": alert.values,
        "level": alert.level,
        "suppressed": alert.suppressed,
        "author": alert.author,
        "note": alert.note,
        "source": {
            "topic": alert.source.topic,
            "partition": alert.source.partition,
            "position": alert.source.position,
        },
    }
    document = {"type": f"alert.{alert.status}", "timestamp": _time(alert.time), "data": data}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
