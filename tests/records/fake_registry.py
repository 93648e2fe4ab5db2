"""A small server that speaks the HTTP of a schema registry."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from riverrun.records.avro import content
from riverrun.records.compatibility import read_faults

Answer = tuple[int, Any]


class Registry:
    """What a registry knows, and how it answers the few requests that riverrun makes."""

    pause_s = 0.0

    def __init__(self) -> None:
        self.schemas: dict[int, str] = {}
        self.subjects: dict[str, list[int]] = {}
        self.requests: list[str] = []
        self.credentials: list[str | None] = []
        self.broken = 0

    def put(self, text: str) -> int:
        """Give a schema an id, as somebody else would."""
        number = 100 + len(self.schemas)
        self.schemas[number] = text
        return number

    def post(self, path: list[str], body: dict[str, Any]) -> Answer:
        """Answer ``POST /subjects/X/versions`` (register) and ``POST /subjects/X`` (look up)."""
        text, subject = body["schema"], path[1]
        parsed = json.loads(text)
        if parsed.get("type") != "record":
            return 422, {"error_code": 42201, "message": "Invalid schema: not a record"}
        versions = self.subjects.get(subject, [])
        known = [number for number in versions if content(json.loads(self.schemas[number])) == content(parsed)]
        if len(path) == 3:
            if any(read_faults(json.loads(self.schemas[number]), parsed) for number in versions):
                return 409, {"error_code": 409, "message": "Schema being registered is incompatible"}
            number = known[0] if known else self.put(text)
            if not known:
                self.subjects.setdefault(subject, []).append(number)
            return 200, {"id": number}
        if not known:
            return 404, {"error_code": 40403, "message": "Schema not found"}
        version = versions.index(known[0]) + 1
        return 200, {"subject": subject, "id": known[0], "version": version, "schema": text}

    def get(self, path: list[str]) -> Answer:
        """Answer what begins with ``GET /schemas/ids/N`` or ``GET /subjects``, and ``GET /config``."""
        if path == ["config"]:
            return 200, {"compatibilityLevel": "BACKWARD"}
        if path[0] == "subjects":
            return self._of_subjects([unquote(part) for part in path[1:]])
        number = int(path[2])
        text = self.schemas.get(number)
        if text is None:
            return 404, {"error_code": 40403, "message": "Schema not found"}
        if len(path) == 3:
            return 200, {"schema": text}
        return 200, [
            {"subject": subject, "version": versions.index(number) + 1}
            for subject, versions in self.subjects.items()
            if number in versions
        ]

    def _of_subjects(self, path: list[str]) -> Answer:
        if not path:
            return 200, list(self.subjects)
        versions = self.subjects.get(path[0])
        if versions is None:
            return 404, {"error_code": 40401, "message": "Subject not found."}
        if len(path) == 2:
            return 200, list(range(1, len(versions) + 1))
        version = len(versions) if path[2] == "latest" else int(path[2])
        if version > len(versions):
            return 404, {"error_code": 40402, "message": "Version not found."}
        number = versions[version - 1]
        return 200, {"subject": path[0], "version": version, "id": number, "schema": self.schemas[number]}


class Handler(BaseHTTPRequestHandler):
    """Hands requests to the registry."""

    registry: Registry

    def do_GET(self) -> None:
        self._answer(self.registry.get)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(lambda path: self.registry.post(path, body))

    def _answer(self, ask: Any) -> None:
        registry = self.registry
        path = self.path.partition("?")[0]
        registry.requests.append(f"{self.command} {path}")
        registry.credentials.append(self.headers["Authorization"])
        threading.Event().wait(registry.pause_s)
        if registry.broken:
            status, document = registry.broken, {"error_code": registry.broken, "message": "no"}
        else:
            status, document = ask(path.strip("/").split("/"))
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        # Who asked may have lost patience.
        with suppress(ConnectionError):
            self.wfile.write(data)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""


@contextmanager
def serving(registry: Registry) -> Iterator[str]:
    """Serve a registry; give its URL."""

    class Own(Handler):
        pass

    Own.registry = registry
    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
