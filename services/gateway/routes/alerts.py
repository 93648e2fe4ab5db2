"""Alerts and subscriptions: list, follow live, acknowledge, subscribe. What is asked for is written as a command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import StreamingResponse

from riverrun.adapters.kafka_publisher import Outgoing
from riverrun.api_keys import ApiKey, Scope
from riverrun.records.items import AlertCommand
from riverrun.records.topics import Kind, topic_name
from riverrun.subscriptions import CommandError, subscription_of
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
from services.gateway.views import AlertsView, Heard, Subscription

__all__ = ["routes"]

_BASE: Final = "/v1/pipelines/{pipeline}"
_HEARTBEAT_S: Final = 15.0
_EVENT_STREAM: Final = "text/event-stream"
_STREAM: Final = {"type": "string"}
After = Annotated[int, Query(ge=-1, le=2**62, description="Only alerts whose `offset` is greater.", examples=[12])]
Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many, the newest.", examples=[20])]
Name = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_-]+$", examples=["on-call"])]


def routes(parts: Parts) -> APIRouter:
    """Return the routes."""
    router = APIRouter(route_class=GuardedRoute, tags=["alerts"])
    _reading(router, parts)
    _commanding(router, parts)
    return router


def _reading(router: APIRouter, parts: Parts) -> None:
    view, read = parts.alerts, needs(Scope.READ)

    @router.get(
        _BASE + "/alerts", operation_id="listAlerts", summary="List alerts, the newest last.", openapi_extra=read
    )
    async def alerts(pipeline: str, after: After = -1, limit: Limit = 100) -> list[AlertDocument]:
        parts.check(pipeline)
        return [_document(heard) for heard in view.alerts(after)[-limit:]]

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
        responses={200: {"description": "A stream without end.", "content": {_EVENT_STREAM: {"schema": _STREAM}}}},
    )
    async def live(pipeline: str, request: Request, after: After | None = None) -> StreamingResponse:
        parts.check(pipeline)
        if view.listeners >= parts.settings.max_live:
            raise Problem(ProblemKind.UNAVAILABLE, "too many follow the alerts", headers={"Retry-After": "5"})
        last = request.headers.get("last-event-id", "")
        start = int(last) if last.isdecimal() and len(last) < 19 else after
        return StreamingResponse(_events(view, start), media_type=_EVENT_STREAM)

    @router.get(
        _BASE + "/subscriptions",
        operation_id="listSubscriptions",
        summary="List the subscriptions that were made here.",
        openapi_extra=read,
    )
    async def subscriptions(pipeline: str) -> list[SubscriptionDocument]:
        parts.check(pipeline)
        return [_subscription(each) for each in view.subscriptions()]


def _commanding(router: APIRouter, parts: Parts) -> None:
    operate = needs(Scope.OPERATE)
    topic = topic_name(parts.pipeline.name, Kind.ALERT_COMMANDS)
    fixed = frozenset(route.name for route in parts.pipeline.alert_routes)

    async def command(item: AlertCommand) -> Acknowledged:
        record = Outgoing(topic, item.id.encode(), parts.codecs.encode(item))
        place = await parts.publisher.publish(record)
        return Acknowledged(command=item.id, offset=place.offset)

    @router.post(
        _BASE + "/alerts/{alert}/acknowledge",
        operation_id="acknowledgeAlert",
        status_code=202,
        summary="Say that somebody looks after an incident.",
        openapi_extra=operate,
    )
    async def acknowledge(pipeline: str, alert: str, body: Acknowledgement, request: Request) -> Acknowledged:
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
        openapi_extra=operate,
    )
    async def subscribe(pipeline: str, name: Name, body: NewSubscription, request: Request) -> Acknowledged:
        parts.check(pipeline)
        item = AlertCommand(new_id(), "subscribe", now_ms(), _author(request), subscription=name)
        item.channel, item.url, item.secret = body.channel, body.url, body.secret
        item.min_severity, item.segments, item.rules = body.min_severity, tuple(body.segments), tuple(body.rules)
        _refuse_senseless(item, fixed)
        return await command(item)

    @router.delete(
        _BASE + "/subscriptions/{name}",
        operation_id="unsubscribe",
        status_code=202,
        summary="End a subscription.",
        openapi_extra=operate,
    )
    async def unsubscribe(pipeline: str, name: Name, request: Request) -> Acknowledged:
        parts.check(pipeline)
        if all(each.name != name for each in parts.alerts.subscriptions()):
            raise Problem(ProblemKind.NOT_FOUND, f"there is no subscription {name!r}")
        return await command(AlertCommand(new_id(), "unsubscribe", now_ms(), _author(request), subscription=name))


def _refuse_senseless(item: AlertCommand, fixed: frozenset[str]) -> None:
    """Raise a problem for what the alerts service would skip without a word to who asked."""
    if item.subscription in fixed:
        raise Problem(ProblemKind.CONFLICT, f"the subscription {item.subscription!r} is the pipeline file's")
    try:
        subscription_of(item)
    except CommandError as error:
        raise Problem(ProblemKind.REFUSED, error.message) from error


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
    )
