"""What ``riverrun init NAME`` writes: a pipeline that works, to be made one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from riverrun.pipeline.checks.names import PIPELINE_NAME
from riverrun.pipeline.errors import DefinitionError

__all__ = ["write_new"]

_TIME: Final = {"type": "long", "logicalType": "timestamp-millis"}

_SHIPPED: Final = {
    "type": "record",
    "namespace": "parcels",
    "name": "Shipped",
    "doc": "A parcel was handed to a carrier.",
    "fields": [
        {"name": "event_id", "type": "string", "doc": "Unique per event; a repeated one is a duplicate."},
        {"name": "parcel_id", "type": "string", "doc": "The key: one per parcel."},
        {"name": "shipped_at", "type": _TIME, "doc": "Event time (UTC)."},
        {"name": "carrier", "type": "string", "doc": "Who brings it."},
        {"name": "distance", "type": "double", "doc": "Kilometres to go."},
        {"name": "weight", "type": ["null", "double"], "default": None, "doc": "Kilograms, if weighed."},
    ],
}
_DELIVERED: Final = {
    "type": "record",
    "namespace": "parcels",
    "name": "Delivered",
    "doc": "A parcel arrived.",
    "fields": [
        {"name": "event_id", "type": "string", "doc": "Unique per event; a repeated one is a duplicate."},
        {"name": "parcel_id", "type": "string", "doc": "The key: one per parcel."},
        {"name": "delivered_at", "type": _TIME, "doc": "Event time (UTC)."},
        {"name": "carrier", "type": "string", "doc": "Who brought it."},
        {"name": "hours", "type": "double", "doc": "How long it took."},
    ],
}

_START_MS: Final = 1_735_689_600_000
_HOUR_MS: Final = 3_600_000

_PIPELINE: Final = '''"""Will a parcel be late?

Make this file your own: name your topics, put your schemas beside it, say what to predict from what.
`riverrun check {file}` tells what is wrong with it, with the line.
"""

from pathlib import Path

from river import compose, linear_model, preprocessing, tree

from riverrun import Label, Model, Pipeline, Stream, count, hour_of, log1p, mean

HERE = Path(__file__).parent

# Streams: a topic, its Avro schema, and the fields that tell what an event is about (its key), when it
# happened (milliseconds since the epoch) and what is unique to it. Messages may be Avro (Confluent framing)
# or JSON.
shipped = Stream(
    "{prefix}.shipped",
    schema=HERE / "shipped.avsc",
    key="parcel_id",
    time="shipped_at",
    id="event_id",
)
delivered = Stream(
    "{prefix}.delivered",
    schema=HERE / "delivered.avsc",
    key="parcel_id",
    time="delivered_at",
    id="event_id",
)


def logistic_regression() -> compose.Pipeline:
    """Build the champion: text becomes indicators, numbers are scaled."""
    encode = compose.SelectType(str) | preprocessing.OneHotEncoder()
    scale = compose.SelectType(int, float) | preprocessing.StandardScaler()
    return (encode + scale) | linear_model.LogisticRegression()


pipeline = Pipeline(
    name="{name}",
    # Every event of this stream asks for a prediction.
    predict_on=shipped,
    # An event that breaks a rule goes to the dead letters. A missing value breaks none.
    rules=[
        shipped.distance.between(0, 20_000),
        shipped.weight > 0,
        delivered.hours >= 0,
    ],
    # The vector, from the event's own fields and from aggregates of earlier events. Fields are expressions:
    # Python's operators work on them (& | ~ for and, or, not), nothing is computed here.
    features={{
        "carrier": shipped.carrier,
        "distance": log1p(shipped.distance).fallback(0.0),
        "weight": shipped.weight.fallback(1.0),
        "hour": hour_of(shipped.shipped_at),
        "carrier_hours_1d": mean(delivered.hours).by("carrier").over("24h").fallback(24.0),
        "carrier_parcels_1h": count(shipped).by("carrier").over("1h"),
    }},
    # What happened in the end. A condition is predicted as a probability, a number as a number. What has not
    # arrived after the wait is late too; otherwise=None would let it go unlabelled.
    label=Label(delivered.hours > 24, join="parcel_id", wait="3d", otherwise=True),
    # The champion's predictions count; challengers predict and learn in its shadow, on the same examples.
    champion=Model("logistic", logistic_regression),
    challengers=[Model("tree", lambda: tree.HoeffdingTreeClassifier(grace_period=50))],
    # A snapshot of the models each so many examples. A real stream wants thousands: leave the line out for that.
    snapshot_every=20,
)
'''


def write_new(name: str, folder: Path) -> list[Path]:
    """Write a new pipeline that passes the check, with its schemas and a few events.

    Parameters
    ----------
    name : str
        The pipeline's name; the file is called after it, with underscores.
    folder : Path
        Where to write; made if it is not there.

    Returns
    -------
    list of Path
        The files written: the pipeline file, two schemas, and ``events.jsonl``, whose lines are objects with
        the ``topic`` and the ``event``, in the order in which they happened.

    Raises
    ------
    DefinitionError
        If the name cannot be a pipeline's, a file of that name is there already, or nothing can be written.
    """
    if not PIPELINE_NAME.fullmatch(name):
        raise DefinitionError(
            f"{name!r} is no name for a pipeline",
            hint="use letters, digits, dashes and underscores, 100 at most: topics are called after it",
            code="bad-name",
        )
    file = f"{name.replace('-', '_')}.py"
    prefix = "parcels" if name != "parcels" else "parcel-events"
    texts = {
        file: _PIPELINE.format(name=name, file=file, prefix=prefix),
        "shipped.avsc": json.dumps(_SHIPPED, indent=2) + "\n",
        "delivered.avsc": json.dumps(_DELIVERED, indent=2) + "\n",
        "events.jsonl": "".join(json.dumps(line) + "\n" for line in _events(prefix)),
    }
    paths = {folder / each: text for each, text in texts.items()}
    for path in paths:
        if path.exists():
            raise DefinitionError(
                f"{path} is there already",
                hint="choose another folder or name, or delete it",
                code="file-exists",
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in paths.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DefinitionError(
            f"nothing can be written to {folder}: {error.strerror or error}", code="unwritable"
        ) from error
    return list(paths)


def _events(prefix: str) -> list[dict[str, object]]:
    """Make the events of sixty parcels, one every half hour, in the order of their times."""
    events: list[tuple[int, dict[str, object]]] = []
    for number in range(60):
        carrier = ("swift", "steady", "slow")[number % 3]
        distance = 25.0 * (1 + number * 7 % 20)
        hours = round(2 + distance / (40.0, 25.0, 15.0)[number % 3], 1)
        shipped_at = _START_MS + number * _HOUR_MS // 2
        delivered_at = shipped_at + round(hours * _HOUR_MS)
        parcel = {"parcel_id": f"p{number:03d}", "carrier": carrier}
        weight = None if number % 5 == 0 else 0.5 + number % 4
        shipped = {
            "event_id": f"s{number:03d}",
            "shipped_at": shipped_at,
            "distance": distance,
            "weight": weight,
        }
        delivered = {"event_id": f"d{number:03d}", "delivered_at": delivered_at, "hours": hours}
        events.append((shipped_at, {"topic": f"{prefix}.shipped", "event": {**parcel, **shipped}}))
        events.append((delivered_at, {"topic": f"{prefix}.delivered", "event": {**parcel, **delivered}}))
    return [event for _, event in sorted(events, key=lambda pair: pair[0])]
