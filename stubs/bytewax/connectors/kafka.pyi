from collections.abc import Iterable, Mapping

class KafkaSource:
    def __init__(
        self, brokers: Iterable[str], topics: Iterable[str], add_config: Mapping[str, str], batch_size: int
    ) -> None: ...

class KafkaSink:
    def __init__(self, brokers: Iterable[str], topic: str, add_config: Mapping[str, str]) -> None: ...

class KafkaSinkMessage:
    def __init__(self, key: bytes, value: bytes) -> None: ...
