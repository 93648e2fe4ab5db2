"""Publishes the year to Kafka, as a process of its own: ``python -m examples.flights.publish``.

It stands for producers that know nothing of machine learning: it has the brokers' address, the topics and the schema
ids, and no more. Most messages go out as fast as Kafka takes them; the last ones wait for a word on standard input and
then go out at a steady rate, so that latency can be measured. What it has done so far it says in JSON lines on
standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import islice

from confluent_kafka import Producer

from examples.flights.pacing import paced
from examples.flights.source import RawMessage, flight_messages
from riverrun.adapters.kafka_log import kafka_producer
from riverrun.embedded import read_external_servers
from riverrun.errors import SettingsError, UnavailableError

SEED = 7
YEAR_MESSAGES = 1_034_283
"""How many messages the whole year has with this seed; making the plan of them only to know would take seconds."""

_REPORT_EVERY = 5_000
_FLUSH_S = 60.0


class Publisher:
    """Sends messages and counts them.

    Parameters
    ----------
    producer
        Whose keys are placed by murmur2.
    """

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self.sent = 0

    def send(self, message: RawMessage) -> None:
        """Hand one message to the client, waiting while its queue is full."""
        while True:
            try:
                self._producer.produce(message.topic, message.value, message.key)
            except BufferError:
                self._producer.poll(0.05)
            else:
                break
        self.sent += 1
        if self.sent % _REPORT_EVERY == 0:
            self._producer.poll(0)
            self.say()

    def say(self, **more: object) -> None:
        """Write a line about what was sent."""
        sys.stdout.write(json.dumps({"published": self.sent, **more}) + "\n")
        sys.stdout.flush()

    def flush(self) -> None:
        """Wait until Kafka has everything.

        Raises
        ------
        UnavailableError
            If it has not taken all within a minute.
        """
        if self._producer.flush(_FLUSH_S) > 0:
            raise UnavailableError("Kafka does not take the flights", hint="is the broker up, and its disk not full?")

    def send_steadily(self, messages: Iterator[RawMessage], rate: float) -> None:
        """Send messages at ``rate`` a second."""
        for message in paced(messages, rate):
            self._producer.poll(0)
            self.send(message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Publish; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.flights.publish", description=__doc__)
    parser.add_argument("--messages", type=int, required=True, help="how many in all")
    parser.add_argument("--steady", type=int, default=0, help="how many of them to hold back for the steady part")
    parser.add_argument(
        "--rate", type=float, default=1_000.0, help="messages a second in the steady part (%(default)s)"
    )
    parser.add_argument("--schema-ids", type=json.loads, required=True, help="JSON object: schema id by topic")
    options = parser.parse_args(arguments)
    kafka = read_external_servers(os.environ).kafka
    if kafka is None:
        raise SettingsError("nothing says where Kafka is", hint="set RIVERRUN_KAFKA to host:port")
    # Lingering trades latency for throughput: right for a replay, but what is measured later is the pipeline.
    publisher = Publisher(kafka_producer({"linger.ms": 1, **kafka}))
    messages = flight_messages(options.schema_ids, SEED, options.messages)
    for message in islice(messages, options.messages - options.steady):
        publisher.send(message)
    publisher.flush()
    publisher.say(bulk=True)
    if sys.stdin.readline():
        publisher.send_steadily(messages, options.rate)
        publisher.flush()
    publisher.say(done=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
