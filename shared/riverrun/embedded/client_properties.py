"""Client properties for Kafka that never print their secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from riverrun.masking import MASK

__all__ = ["ClientProperties"]

_SECRET_NAME = re.compile(r"password|secret|token|credential|jaas|oauthbearer\.config|\.pem$", re.IGNORECASE)


class ClientProperties(Mapping[str, str]):
    """The configuration of a librdkafka client, as an immutable mapping whose ``repr`` hides secrets.

    Parameters
    ----------
    properties : Mapping of str to str
        Properties as librdkafka names them. ``bootstrap.servers`` is always among them.

    Examples
    --------
    >>> properties = ClientProperties({"bootstrap.servers": "kafka:9092", "sasl.password": "tea"})
    >>> properties
    ClientProperties({'bootstrap.servers': 'kafka:9092', 'sasl.password': '***'})
    >>> dict(properties)["sasl.password"]  # what a client is made from
    'tea'
    """

    __slots__ = ("_properties",)

    def __init__(self, properties: Mapping[str, str]) -> None:
        self._properties = dict(properties)

    def __getitem__(self, name: str) -> str:
        """Return one property, secrets included."""
        return self._properties[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._properties)

    def __len__(self) -> int:
        """Return how many properties there are."""
        return len(self._properties)

    def __repr__(self) -> str:
        """Show all names, and the values of those that keep no secret."""
        shown = {name: MASK if _SECRET_NAME.search(name) else value for name, value in self.items()}
        return f"{type(self).__name__}({shown!r})"
