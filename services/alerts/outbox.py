"""Delivers alerts: a thread for each subscription, which reads the alerts topic at its own pace."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from riverrun.delivery.courier import Bookmark, Courier, Pace
from riverrun.delivery.messages import Channel, Message, Outcome
from riverrun.errors import AccessDeniedError, RiverrunError, SettingsError
from riverrun.records.items import Alert
from riverrun.runtime import metrics
from riverrun.runtime.backoff import Backoff
from riverrun.runtime.meter import Meter
from riverrun.runtime.ports import Log, Record
from riverrun.runtime.wire import Wire
from riverrun.subscriptions import Subscription
from services.alerts.bulletin import message_of

__all__ = ["Outbox", "OutboxPorts", "bookmark_group"]

_LOG = logging.getLogger("riverrun.alerts.outbox")
_STOP_S = 15.0


def bookmark_group(pipeline: str, subscription: str) -> str:
    """Return the consumer group whose offset is how far a subscription has got: lag tools show what is undelivered."""
    return f"riverrun.{pipeline}.alerts.to.{subscription}"


@dataclass(frozen=True, slots=True)
class OutboxPorts:
    """What an outbox works with.

    Parameters
    ----------
    log
        Where the alerts topic is.
    wire
        Decodes alerts.
    topic, pipeline
        Names.
    bookmark
        Opens the bookmark of a consumer group.
    channel
        Makes a subscription's channel.
    meter
        Counts attempts.
    pace
        Makes the times of a courier, given what to wait on.
    """

    log: Log
    wire: Wire
    topic: str
    pipeline: str
    bookmark: Callable[[str], Bookmark]
    channel: Callable[[Subscription], Channel]
    meter: Meter = field(default_factory=Meter)
    pace: Callable[[Callable[[float], bool]], Pace] = Pace


@dataclass(frozen=True, slots=True)
class _Counted:
    """A channel whose attempts are counted."""

    channel: Channel
    subscription: str
    meter: Meter

    def deliver(self, message: Message) -> Outcome:
        """Try to deliver; count what came of it."""
        outcome = self.channel.deliver(message)
        self.meter.counter(metrics.DELIVERIES, self.subscription, outcome.result.value).add()
        return outcome


class _UnforeseenError(RiverrunError):
    """A mistake of ours or of a library.

    It must not end a thread: nobody would start it again, and few would learn that it ended.
    """


@dataclass(slots=True)
class _Delivery:
    subscription: Subscription
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class Outbox:
    """Delivers to all subscriptions, each in order, and apart from the others.

    Parameters
    ----------
    ports
        What it works with.
    """

    def __init__(self, ports: OutboxPorts) -> None:
        self._ports = ports
        self._deliveries: dict[str, _Delivery] = {}

    def refresh(self, subscriptions: Sequence[Subscription]) -> None:
        """Begin to deliver to new subscriptions, stop for those that are gone; a changed one is both."""
        wanted = {each.name: each for each in subscriptions}
        for name, delivery in list(self._deliveries.items()):
            if wanted.get(name) != delivery.subscription:
                del self._deliveries[name]
                delivery.stop.set()
        for name, subscription in wanted.items():
            if name not in self._deliveries:
                self._deliveries[name] = self._start(subscription)

    def _start(self, subscription: Subscription) -> _Delivery:
        delivery = _Delivery(subscription)
        delivery.thread = threading.Thread(
            target=self._run, args=(delivery,), name=f"riverrun-alerts-to-{subscription.name}", daemon=True
        )
        delivery.thread.start()
        return delivery

    def _run(self, delivery: _Delivery) -> None:
        subscription, stop = delivery.subscription, delivery.stop
        waits = Backoff(0.5, 30.0)
        while not stop.is_set():
            try:
                if self._try(subscription, stop.wait):
                    return
            except SettingsError as error:
                _LOG.error("nothing is delivered to %s: %s", subscription.name, error)
                if not isinstance(error, AccessDeniedError):
                    return
                # Rights may be given back, and until then somebody has to be told.
                stop.wait(waits.next())
            except _UnforeseenError as error:
                _LOG.error("deliveries to %s begin again: %s", subscription.name, error, exc_info=error)
                stop.wait(waits.next())
            except RiverrunError as error:
                _LOG.warning("deliveries to %s begin again: %s", subscription.name, error)
                stop.wait(waits.next())

    def _try(self, subscription: Subscription, wait: Callable[[float], bool]) -> bool:
        try:
            return self._deliver(subscription, wait)
        except RiverrunError:
            raise
        except Exception as error:
            raise _UnforeseenError(f"an error that nobody expected, {error!r:.200}") from error

    def _deliver(self, subscription: Subscription, wait: Callable[[float], bool]) -> bool:
        """Deliver until told to stop, or until the receiver is gone; return whether it is."""
        ports = self._ports

        def select(record: Record) -> Message | None:
            item = ports.wire.item(record)
            if isinstance(item, Alert) and subscription.name in item.subscriptions:
                return message_of(item, ports.pipeline)
            return None

        channel = _Counted(ports.channel(subscription), subscription.name, ports.meter)
        bookmark = ports.bookmark(bookmark_group(ports.pipeline, subscription.name))
        try:
            courier = Courier(subscription.name, channel, select, bookmark, ports.pace(wait))
            reader = ports.log.reader(ports.topic, 0, bookmark.load())
            try:
                courier.run(reader)
            finally:
                reader.close()
        finally:
            bookmark.close()
        return courier.gone

    def stop(self) -> None:
        """Stop delivering; what is under way may be delivered again later."""
        for delivery in self._deliveries.values():
            delivery.stop.set()
        for delivery in self._deliveries.values():
            if delivery.thread is not None:
                delivery.thread.join(_STOP_S)
        self._deliveries = {}
