"""Who may do what: every operation against keys that lack its scope, no keys, wrong keys and revoked keys."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from riverrun.api_keys import KeyFile, Scope, key_file_path
from riverrun.errors import RiverrunError
from services.gateway.guarded import SCOPE, GuardedRoute, anyone, needs
from tests.gateway.world import NAME, GatewayWorld, until

OPEN = {"isAlive", "isReady"}


def _operations(world: GatewayWorld) -> list[tuple[str, str, dict[str, Any]]]:
    paths = world.ask("GET", "/openapi.json").document["paths"]
    return [
        (method.upper(), path.replace("{pipeline}", NAME).replace("{number}", "1"), operation)
        for path, item in paths.items()
        for method, operation in item.items()
    ]


def test_every_operation_refuses_every_other_scope(world: GatewayWorld) -> None:
    """An operation answers 403 to a key with all scopes but its own, and 401 to none, before it looks at anything."""
    checked = 0
    folder = key_file_path(world.settings.data_folder)
    lacking = {
        scope: KeyFile(folder).make("lacks one", [each for each in Scope if each is not scope], now=1)
        for scope in Scope
    }
    until(lambda: world.ask("GET", "/openapi.json", key=lacking[Scope.READ]).status == 200, "new keys are known")
    for method, path, operation in _operations(world):
        if operation["operationId"] in OPEN:
            assert world.ask(method, path, key="none").status == 200
            continue
        assert world.ask(method, path, key="none").status == 401, path
        scope = operation[SCOPE]
        if scope != "any":
            reply = world.ask(method, path, b"{}", key=lacking[Scope[scope.upper()]])
            assert (reply.status, reply.document["type"]) == (403, "urn:riverrun:problem:forbidden"), path
            checked += 1
    assert checked > 20


def test_each_scope_alone_is_enough(world: GatewayWorld) -> None:
    """A key with one scope may do what that scope is for."""
    tried = {
        Scope.READ: ("GET", f"/v1/pipelines/{NAME}/models", None, 200),
        Scope.PUBLISH: ("POST", "/v1/streams/asked", {"who": "w", "place": "x", "size": 1.0}, 202),
        Scope.PREDICT: ("POST", f"/v1/pipelines/{NAME}/predict", {"who": "w", "place": "x", "size": 1.0}, 200),
        Scope.OPERATE: ("PUT", f"/v1/pipelines/{NAME}/subscriptions/a", {"channel": "apprise", "secret": "A"}, 202),
    }
    for scope, (method, path, body, status) in tried.items():
        assert world.ask(method, path, body, key=world.only[scope]).status == status


@pytest.mark.parametrize(
    "wrong",
    ["-", "rr1", "rr1.aaaaaaaaaaaa", "rr1..", "é" * 20, "x" * 10_000, "rr1.aaaaaaaaaaaa." + "A" * 43],
)
def test_wrong_keys_are_refused_alike(world: GatewayWorld, wrong: str) -> None:
    """Whatever is wrong with a key, the answer is the same to the letter."""
    headers = [(b"authorization", b"Bearer " + wrong.encode())]
    reply = world.raw("GET", "/metrics", headers)
    assert (reply.status_code, reply.headers["www-authenticate"]) == (401, 'Bearer realm="riverrun"')
    assert reply.content == world.raw("GET", "/metrics", []).content


def test_a_changed_secret_is_refused(world: GatewayWorld) -> None:
    """The id of a real key with one other letter in its secret lets nobody in."""
    changed = world.key[:-1] + ("A" if world.key[-1] != "A" else "B")
    assert world.ask("GET", "/metrics", key=changed).status == 401


def test_three_ways_to_send_a_key(world: GatewayWorld) -> None:
    """As a bearer token, in a header of its own, and as the password of basic authentication."""
    basic = base64.b64encode(f"anyone:{world.key}".encode())
    for header in (
        (b"authorization", b"bearer " + world.key.encode()),
        (b"x-api-key", world.key.encode()),
        (b"authorization", b"Basic " + basic),
    ):
        assert world.raw("GET", "/metrics", [header]).status_code == 200
    assert world.raw("GET", "/metrics", [(b"authorization", b"Basic !!!")]).status_code == 401


def test_a_revoked_key_is_useless_at_once(world: GatewayWorld) -> None:
    """A running gateway takes notice of new and of revoked keys by itself."""
    file = KeyFile(key_file_path(world.settings.data_folder))
    text = file.make("short-lived", [Scope.READ], now=1)
    until(lambda: world.ask("GET", "/metrics", key=text).status == 200, "the key is known")
    file.revoke(text.split(".")[1], now=2)
    until(lambda: world.ask("GET", "/metrics", key=text).status == 401, "the key is revoked")
    expired = file.make("expired", [Scope.READ], now=1, expires=2)
    fresh = file.make("fresh", [Scope.READ], now=1)
    until(lambda: world.ask("GET", "/metrics", key=fresh).status == 200, "the newest key is known")
    assert world.ask("GET", "/metrics", key=expired).status == 401


def test_a_route_without_a_scope_cannot_be_made() -> None:
    """What nobody gave a scope, or opened at a path that the gate keeps closed, is an error at start."""

    async def endpoint() -> None:
        return None

    with pytest.raises(RiverrunError, match="names no scope"):
        GuardedRoute("/new", endpoint)
    with pytest.raises(RiverrunError, match="names no scope"):
        GuardedRoute("/new", endpoint, openapi_extra=anyone())
    assert GuardedRoute("/new", endpoint, openapi_extra=needs(Scope.READ)).path == "/new"
