"""The attack on all that answers HTTP: each malformed request must be refused with a 4xx, and nothing may stop."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hostile.outcome import Outcome
from hostile.prey import samples_of
from hostile.request_judge import RequestJudge, Verdict
from hostile.requests import Crafted, Route, craft, routes_of
from hostile.scene import Scene
from hostile.talk import CLOSED, ask, say, status_of

__all__ = ["Door", "attack_doors", "attack_health", "attack_routes"]

_LOOK_EVERY: Final = 100
_SHOWN: Final = 300
_HEALTH: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "paths": {
        path: {method: {"security": []} for method in ("get", "head")}
        for path in ("/health/live", "/health/ready", "/metrics")
    }
}
"""What the health endpoint of every service offers: it has no document of its own."""


@dataclass(frozen=True, slots=True)
class Door:
    """A port that answers HTTP: its routes, who judges what is sent there, and the type of its refusals."""

    name: str
    port: int
    routes: Sequence[Route]
    judge: RequestJudge
    refusals: str


def attack_routes(scene: Scene, count: int, seed: int) -> Outcome:
    """Send malformed requests to every route of the gateway; afterwards the alerts must still take commands.

    Parameters
    ----------
    scene
        The pipeline, with everything running, and an alert told.
    count
        How many malformed requests.
    seed
        Of the chance that spoils them.
    """
    outcome = attack_doors(scene.look, [_gateway(scene)], count, seed)
    scene.prove()
    scene.prove_commands()
    return outcome


def attack_health(scene: Scene, count: int, seed: int) -> Outcome:
    """Send malformed requests to every route of the health endpoints of all processes.

    Parameters
    ----------
    scene
        The pipeline, with everything running.
    count
        How many malformed requests.
    seed
        Of the chance that spoils them.
    """
    judge, routes = RequestJudge(_HEALTH), routes_of(_HEALTH, {}, "", [])
    doors = [Door(f"{name}: ", port, routes, judge, "application/json") for name, port in scene.health.items()]
    outcome = attack_doors(scene.look, doors, count, seed)
    for door in doors:
        for path in _HEALTH["paths"]:
            if status_of(ask(door.port, "GET", path)) != 200:
                scene.stopped.append(f"{path} of the {door.name.rstrip(': ')}")
    return outcome


def _gateway(scene: Scene) -> Door:
    name, key = scene.prey.pipeline.name, scene.key

    def got(path: str) -> Any:
        return json.loads(ask(scene.port, "GET", path, key).partition("\r\n\r\n")[2])

    base = f"/v1/pipelines/{name}"
    document = got("/openapi.json")
    told = got(f"{base}/alerts?limit=1000")
    known = {
        "model": {each["model"] for each in got(f"{base}/models")} | {each["alias"] for each in got(f"{base}/aliases")},
        "alert": {each[what] for each in told for what in ("id", "incident")},
        "subject": set(got("/registry/subjects")),
    }
    good = {each: sorted(names)[0] for each, names in known.items()}
    good |= {"pipeline": name, "number": "1", "version": "latest", "name": "1"}
    bodies = [body for each in samples_of(scene.prey).values() for body in each if body.startswith(b"{")]
    judge = RequestJudge(document, key, known)
    return Door("", scene.port, routes_of(document, good, key, bodies), judge, "application/problem+json")


def attack_doors(look: Callable[[], None], doors: Sequence[Door], count: int, seed: int) -> Outcome:
    """Send malformed requests to all routes of some doors, and account for each.

    A request that nothing declared forbids though it was spoiled is sent too, beside; it must be answered, and not by a
    fault of the server. What HTTP lets servers pass over is not counted as malformed: parameters and headers that
    nobody reads, and the body of a request to a route that reads none.

    Parameters
    ----------
    look
        Called now and then.
    doors
        What to attack.
    count
        How many malformed requests.
    seed
        Of the chance that spoils them.
    """
    outcome, chance, made, number = Outcome(tried=count), random.Random(seed), 0, 0
    while made < count:
        door = chance.choice(doors)
        route = chance.choice(door.routes)
        crafted = craft(chance, route)
        verdict = door.judge.judge(crafted.sent)
        answer = say(door.port, crafted.sent, ends=verdict is Verdict.INCOMPLETE)
        number += 1
        made += verdict is not Verdict.VALID
        _account(outcome, door, route, crafted, (verdict, answer))
        if number % _LOOK_EVERY == 0:
            look()
    return outcome


def _account(outcome: Outcome, door: Door, route: Route, crafted: Crafted, answered: tuple[Verdict, str]) -> None:
    verdict, answer = answered
    status = status_of(answer)
    told = str(status or answer[:_SHOWN])
    if verdict is Verdict.VALID:
        outcome.valid[told] += 1
        good = 200 <= status < 500
    else:
        outcome.answers[told] += 1
        outcome.by_route[f"{door.name}{route.name}"][told] += 1
        # Who has sent no whole request may be hung up on.
        good = _refuses(answer, door) or (verdict is Verdict.INCOMPLETE and answer == CLOSED)
    if not good:
        sent = f"{crafted.way}, {verdict.value}: {crafted.sent[:_SHOWN]!r}"
        outcome.accuse(f"{door.name}{route.name} answers {answer[:_SHOWN]!r} to what is wrong by its {sent}")


def _refuses(answer: str, door: Door) -> bool:
    """Tell whether an answer is a refusal, in the form that this door has for them."""
    head = answer.partition("\r\n\r\n")[0].lower()
    return 400 <= status_of(answer) < 500 and f"\r\ncontent-type: {door.refusals}" in head
