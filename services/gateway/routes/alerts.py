"""Alerts and subscriptions: list, follow live, acknowledge, subscribe. What is asked for is written as a command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import islice
from typing import Annotated, Final
from urllib.parse import urlsplit

import orjson
from fastapi import APIRouter, Header, Path, Query
from starlette.requests import Request
from starlette.responses import StreamingResponse

from riverrun.adapters.kafka_publisher import Outgoing
from riverrun.api_keys import ApiKey, Scope
from riverrun.pipeline.alerts import Route
from riverrun.records.items import AlertCommand
from riverrun.records.topics import Kind, topic_name
from riverrun.subscriptions import MOST_SUBSCRIPTIONS, CommandError, subscription_of
from services.gateway.admission import new_id, now_ms
from services.gateway.gate import CALLER
from services.gateway.guarded import GuardedRoute, needs
from services.gateway.parts import Parts
from services.gateway.problems import Problem, ProblemKind
from services.gateway.routes.documents import (
    Acknowledged,
    Acknowledgement,
    AlertDocument,
    NewSubscription,
    SubscriptionDocument,
)
from services.gateway.routes.models import finite
from services.gateway.routes.numbers import PLAIN
from services.gateway.views import AlertsView, Heard, Subscription

__all__ = ["routes"]

_BASE: Final = "/v1/pipelines/{pipeline}"
_HEARTBEAT_S: Final = 15.0
_EVENT_STREAM: Final = "text/event-stream"
_STREAM: Final = {
    "schema": {"type": "string", "description": "Server-sent events; lines that begin with a colon say nothing."},
    "example": 'id: 12\nevent: raised\ndata: {"offset":12,"id":"a1","incident":"a1","status":"raised"}\n\n',
}
After = Annotated[
    int | None, Query(ge=-1, le=2**62, description="Only alerts whose `offset` is greater.", examples=[12]), PLAIN
]
Before = Annotated[
    int | None, Query(ge=0, le=2**62, description="Only alerts whose `offset` is less.", examples=[112]), PLAIN
]
Limit = Annotated[
    int,
    Query(
        ge=1,
        le=1000,
        description="At most so many: the first behind `after` if that is given, else the newest.",
        examples=[20],
    ),
    PLAIN,
]
LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="The `id` of the last event that came: to go on.", examples=["12"]),
]
AlertName = Annotated[str, Path(description="The `id` of an alert, or its `incident`.", examples=["a1"])]
Name = Annotated[
    str,
    Path(
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="What the subscription is called.",
        examples=["on-call"],
    ),
]


def routes(parts: Parts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(route_class=GuardedRoute, tags=["alerts"])
    _reading(router, parts)
    _commanding(router, parts)
    return router


def _reading(router: APIRouter, parts: Parts) -> None:
    view, read = parts.alerts, needs(Scope.READ)

    @router.get(
        _BASE + "/alerts",
        operation_id="listAlerts",
        summary="List alerts, the newest last.",
        description=(
            "The newest 10,000 alerts can be had, page by page: older ones with the least `offset` of a page as "
            "`before`, newer ones with the greatest as `after`."
        ),
        openapi_extra=read,
    )
    async def alerts(
        pipeline: str, after: After = None, before: Before = None, limit: Limit = 100
    ) -> list[AlertDocument]:
        parts.check(pipeline)
        return [_document(heard) for heard in _page(view, after, before, limit)]

    @router.get(
        _BASE + "/alerts/live",
        operation_id="followAlerts",
        summary="Follow alerts as server-sent events.",
        description=(
            "Each event is an alert: `id` is its offset, `event` its status, `data` the same document as in the list. "
            "Begins after the offset in the header `Last-Event-ID` or in `after`, else with what is new."
        ),
        openapi_extra=read,
        response_class=StreamingResponse,
        responses={200: {"description": "A stream without end.", "content": {_EVENT_STREAM: _STREAM}}},
    )
    async def live(pipeline: str, after: After = None, last_event_id: LastEventId = None) -> StreamingResponse:
        parts.check(pipeline)
        if view.listeners >= parts.settings.max_live:
            raise Problem(ProblemKind.UNAVAILABLE, "too many follow the alerts", headers={"Retry-After": "5"})
        last = last_event_id or ""
        start = int(last) if last.isdecimal() and len(last) < 19 else after
        return StreamingResponse(_events(view, start), media_type=_EVENT_STREAM)

    @router.get(
        _BASE + "/subscriptions",
        operation_id="listSubscriptions",
        summary="List the subscriptions, by name.",
        description="Those that were made here, and the routes of the pipeline file: these are `declared`, and stay.",
        openapi_extra=read,
    )
    async def subscriptions(pipeline: str) -> list[SubscriptionDocument]:
        parts.check(pipeline)
        declared = [_declared(route) for route in parts.pipeline.alert_routes]
        made = [_subscription(each) for each in view.subscriptions()]
        return sorted([*declared, *made], key=lambda each: each.name)


def _page(view: AlertsView, after: int | None, before: int | None, limit: int) -> list[Heard]:
    """Return the first alerts behind an offset, else the newest; none from another offset on."""
    if after is not None:
        return list(islice((each for each in view.alerts(after) if before is None or each.offset < before), limit))
    return [each for each in view.alerts() if before is None or each.offset < before][-limit:]


def _commanding(router: APIRouter, parts: Parts) -> None:
    operate = needs(Scope.OPERATE)
    topic = topic_name(parts.pipeline.name, Kind.ALERT_COMMANDS)
    declared = frozenset(route.name for route in parts.pipeline.alert_routes)
    parts.alerts.declare(declared)

    async def command(item: AlertCommand) -> Acknowledged:
        record = Outgoing(topic, item.id.encode(), parts.codecs.encode(item))
        place = await parts.publisher.publish(record)
        return Acknowledged(command=item.id, offset=place.offset)

    @router.post(
        _BASE + "/alerts/{alert}/acknowledge",
        operation_id="acknowledgeAlert",
        status_code=202,
        summary="Say that somebody looks after an incident.",
        description="Then the incident is not told again as more severe. That it was acknowledged comes as an alert.",
        openapi_extra=operate,
    )
    async def acknowledge(pipeline: str, alert: AlertName, body: Acknowledgement, request: Request) -> Acknowledged:
        parts.check(pipeline)
        if not parts.alerts.knows(alert):
            raise Problem(ProblemKind.NOT_FOUND, f"there is no alert {alert!r:.100}")
        return await command(
            AlertCommand(new_id(), "acknowledge", now_ms(), _author(request), alert=alert, note=body.note)
        )

    @router.put(
        _BASE + "/subscriptions/{name}",
        operation_id="subscribe",
        status_code=202,
        summary="Subscribe to alerts, or change a subscription.",
        description="The whole subscription: it replaces one of the same name. What the pipeline file declares stays.",
        openapi_extra=operate,
    )
    async def subscribe(pipeline: str, name: Name, body: NewSubscription, request: Request) -> Acknowledged:
        parts.check(pipeline)
        item = AlertCommand(new_id(), "subscribe", now_ms(), _author(request), subscription=name)
        item.channel, item.url, item.secret = body.channel, body.url, body.secret
        item.min_severity, item.segments, item.rules = body.min_severity, tuple(body.segments), tuple(body.rules)
        _refuse_senseless(item, declared)
        if not parts.alerts.has_room(name):
            raise Problem(ProblemKind.CONFLICT, f"there are {MOST_SUBSCRIPTIONS} subscriptions: end one first")
        return await command(item)

    @router.delete(
        _BASE + "/subscriptions/{name}",
        operation_id="unsubscribe",
        status_code=202,
        summary="End a subscription.",
        description="Those that the pipeline file declares stay: take them out there.",
        openapi_extra=operate,
    )
    async def unsubscribe(pipeline: str, name: Name, request: Request) -> Acknowledged:
        parts.check(pipeline)
        _refuse_declared(name, declared)
        if all(each.name != name for each in parts.alerts.subscriptions()):
            raise Problem(ProblemKind.NOT_FOUND, f"there is no subscription {name!r}")
        return await command(AlertCommand(new_id(), "unsubscribe", now_ms(), _author(request), subscription=name))


def _refuse_senseless(item: AlertCommand, declared: frozenset[str]) -> None:
    """Raise a problem for what the alerts service would skip without a word to who asked."""
    _refuse_declared(item.subscription, declared)
    try:
        subscription_of(item)
    except CommandError as error:
        raise Problem(ProblemKind.REFUSED, error.message) from error


def _refuse_declared(name: str, declared: frozenset[str]) -> None:
    if name in declared:
        raise Problem(ProblemKind.CONFLICT, f"the pipeline file declares the subscription {name!r}: change it there")


async def _events(view: AlertsView, after: int | None) -> AsyncIterator[bytes]:
    """Give old alerts, then every new one; a comment now and then keeps the connection open."""
    queue = view.listen()
    try:
        yield b": alerts\n\n"
        seen = -1
        for heard in view.alerts(after) if after is not None else ():
            yield _event(heard)
            seen = heard.offset
        while True:
            try:
                async with asyncio.timeout(_HEARTBEAT_S):
                    following = await queue.get()
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if following is None:
                return
            if following.offset > seen:
                yield _event(following)
    finally:
        view.leave(queue)


def _event(heard: Heard) -> bytes:
    data = orjson.dumps(_document(heard).model_dump())
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (heard.offset, heard.alert.status.encode(), data)


def _author(request: Request) -> str:
    caller = request.scope.get(CALLER)
    return caller.name if isinstance(caller, ApiKey) else ""


def _document(heard: Heard) -> AlertDocument:
    alert = heard.alert
    return AlertDocument(
        offset=heard.offset,
        id=alert.id,
        incident=alert.incident,
        status=alert.status,
        rule=alert.rule,
        kind=alert.kind,
        severity=alert.severity,
        subject=alert.subject,
        segment=alert.segment,
        time=alert.time,
        title=alert.title,
        text=alert.text,
        values=finite(alert.values),
        level=alert.level,
        suppressed=alert.suppressed,
        author=alert.author,
        note=alert.note,
    )


def _subscription(each: Subscription) -> SubscriptionDocument:
    command = each.command
    return SubscriptionDocument(
        name=each.name,
        channel=command.channel,
        url=command.url,
        secret=command.secret,
        min_severity=command.min_severity,
        segments=list(command.segments),
        rules=list(command.rules),
        author=command.author,
        declared=False,
    )


def _declared(route: Route) -> SubscriptionDocument:
    return SubscriptionDocument(
        name=route.name,
        channel=route.channel,
        url=_without_password(route.url),
        secret=route.secret,
        min_severity=route.min_severity,
        segments=list(route.segments),
        rules=list(route.rules),
        author="",
        declared=True,
    )


def _without_password(url: str) -> str:
    """Take a user and a password out of a URL: who may read the list need not know them."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
