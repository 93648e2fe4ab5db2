import ssl
from typing import Any

class App:
    def __init__(self, id: str, **settings: Any) -> None: ...
    def __getattr__(self, name: str) -> Any: ...

class Worker:
    def __init__(self, *apps: App, **settings: Any) -> None: ...
    def execute_from_commandline(self) -> None: ...

class SASLCredentials:
    def __init__(
        self,
        *,
        username: str | None = None,
        password: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        mechanism: str | None = None,
    ) -> None: ...

class SSLCredentials:
    def __init__(self, context: ssl.SSLContext | None = None) -> None: ...
