"""Answers requests for predictions: features as stored, the champion in memory, and the event published.

The prediction that counts is made by the stream: the event is published to the producers' topic, and `features`,
`score` and `labels` treat it as any other. What was answered here is written into a header of that record: the model,
its version, the score, and which partials were read, so that the vector that was served can be recomputed from the
log (docs/decisions/0022-predictions-over-http.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

import orjson

from riverrun.adapters.kafka_publisher import Outgoing, Receipt
from riverrun.errors import UnavailableError
from riverrun.features.lookup import FeatureLookup, Found, Wanted
from riverrun.models.adapter import Features, Learner, features_of, is_finite
from riverrun.models.contributions import Contributions, contributions_of
from riverrun.models.modelset import PinnedModels
from riverrun.records.items import FieldValue
from riverrun.runtime.ports import PartialEntry
from services.gateway.admission import Admitted

__all__ = ["ANSWER", "Answer", "Answering", "Champion", "Partials", "Publisher", "publish_all"]

ANSWER: Final = "riverrun-answer"
"""Header of an event that came with a request for a prediction: what was answered."""


class Partials(Protocol):
    """Looks stored partials up."""

    async def read(self, places: Sequence[Wanted]) -> list[PartialEntry | None]:
        """Return the entry at each place; raise `UnavailableError` if the store does not answer."""
        ...


class Publisher(Protocol):
    """Publishes records."""

    def publish(self, record: Outgoing) -> asyncio.Future[Receipt]:
        """Hand a record over; the future is done when Kafka has it."""
        ...


class Answer(NamedTuple):
    """What a request is answered for one event."""

    id: str
    time: int
    model: str
    version: int
    score: float
    features: dict[str, FieldValue]
    contributions: dict[str, float] | None
    place: Receipt


class _Scored(NamedTuple):
    admitted: Admitted
    found: Found
    given: Features
    score: float


class Champion:
    """The model whose predictions count, as it was last published.

    Parameters
    ----------
    current
        Returns the published models, the champion first.
    """

    def __init__(self, current: Callable[[], PinnedModels]) -> None:
        self._current = current
        self._learner: Learner | None = None
        self._explain: Contributions | None = None

    def take(self) -> tuple[Learner, int, Contributions | None]:
        """Return the champion, its version, and what explains its scores."""
        models = self._current()
        learner = models.learners[0]
        if learner is not self._learner:
            self._learner, self._explain = learner, contributions_of(learner.estimator)
        return learner, models.versions[0], self._explain


class Answering:
    """Answers for the events of the stream that is predicted on.

    Parameters
    ----------
    names
        The features, in the vector's order.
    lookup
        Makes features of stored partials.
    partials
        Finds those.
    champion
        Scores.
    publisher
        Publishes the events.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        lookup: FeatureLookup,
        partials: Partials,
        champion: Champion,
        publisher: Publisher,
    ) -> None:
        self._names = names
        self._lookup = lookup
        self._partials = partials
        self._champion = champion
        self._publisher = publisher

    async def answer(self, admitted: Sequence[Admitted]) -> list[Answer]:
        """Return an answer for each event, once Kafka has all of them.

        Raises
        ------
        UnavailableError
            If Redis or Kafka does not answer. Some events may have been published: their ids make it safe to ask again.
        """
        wanted = [self._lookup.wanted(each.event.fields, each.event.key) for each in admitted]
        entries = await self._partials.read([place for places in wanted for place in places])
        learner, version, explain = self._champion.take()
        at = 0
        scored = []
        for each, places in zip(admitted, wanted, strict=True):
            event = each.event
            found = self._lookup.features(event.fields, event.time, places, entries[at : at + len(places)])
            at += len(places)
            # As the scorer does it: what is not finite is left out, as what is missing.
            values = found.values if is_finite(found.values) else tuple(map(_finite, found.values))
            given = features_of(self._names, values)
            scored.append(_Scored(each, found, given, learner.predict(given)))
        receipts = await publish_all(self._publisher, [_record(one, learner.name, version) for one in scored])
        return [
            Answer(
                one.admitted.event.id,
                one.admitted.event.time,
                learner.name,
                version,
                one.score,
                dict(zip(self._names, one.found.values, strict=True)),
                None if explain is None else explain(one.given),
                place,
            )
            for one, place in zip(scored, receipts, strict=True)
        ]


async def publish_all(publisher: Publisher, records: Sequence[Outgoing]) -> list[Receipt]:
    """Publish records and wait until Kafka has all of them.

    Raises
    ------
    UnavailableError
        If it does not have all; every one of them was waited for.
    """
    futures = []
    refused: UnavailableError | None = None
    for record in records:
        try:
            futures.append(publisher.publish(record))
        except UnavailableError as error:
            refused = error
            break
    receipts = []
    for future in futures:
        try:
            receipts.append(await future)
        except UnavailableError as error:
            refused = error
    if refused is not None:
        raise refused
    return receipts


def _finite(value: FieldValue) -> FieldValue:
    return value if is_finite((value,)) else None


def _record(one: _Scored, model: str, version: int) -> Outgoing:
    """Return the record of an event with what is answered for it."""
    reads = [[read.partition, read.group, read.entity, read.position] for read in one.found.reads]
    said = orjson.dumps({"model": model, "version": version, "score": one.score, "reads": reads})
    record = one.admitted.record
    return record._replace(headers=(*record.headers, (ANSWER, said)))
