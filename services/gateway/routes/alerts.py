"""Alerts and subscriptions: list, follow live, acknowledge, subscribe. What is asked for is written as a command."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Header, Path, Query
from starlette.requests import Request
from starlette.responses import StreamingResponse

from riverrun.adapters.kafka_publisher import Outgoing
from riverrun.api_keys import ApiKey, Scope
from riverrun.delivery.destinations import ForbiddenError, parse_url
from riverrun.incidents import DIGEST
from riverrun.pipeline.alerts import Route
from riverrun.records.items import AlertCommand
from riverrun.records.topics import Kind, topic_name
from riverrun.subscriptions import MOST_SUBSCRIPTIONS, CommandError, subscription_of
from services.gateway.admission import new_id, now_ms
from services.gateway.gate import CALLER
from services.gateway.guarded import GuardedRoute, needs
from services.gateway.parts import Parts
from services.gateway.problems import Members, Problem, ProblemKind
from services.gateway.routes.documents import (
    Acknowledged,
    Acknowledgement,
    AlertDocument,
    NewSubscription,
    SubscriptionDocument,
)
from services.gateway.routes.following import EVENT_STREAM, Following, alert_document
from services.gateway.routes.numbers import PLAIN
from services.gateway.views import AlertsView, Heard, Subscription

__all__ = ["routes"]

_BASE: Final = "/v1/pipelines/{pipeline}"
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
        return [alert_document(heard) for heard in _page(view, after, before, limit)]

    @router.get(
        _BASE + "/alerts/live",
        operation_id="followAlerts",
        summary="Follow alerts as server-sent events.",
        description=(
            "Each event is an alert: `id` is its offset, `event` its status, `data` the same document as in the list. "
            "Begins after the offset in the header `Last-Event-ID` or in `after`, else with what is new. "
            "Ends when the key is not valid any more."
        ),
        openapi_extra=read,
        response_class=StreamingResponse,
        responses={200: {"description": "A stream without end.", "content": {EVENT_STREAM: _STREAM}}},
    )
    async def live(
        request: Request, pipeline: str, after: After = None, last_event_id: LastEventId = None
    ) -> StreamingResponse:
        parts.check(pipeline)
        if view.listeners >= parts.settings.max_live:
            raise Problem(ProblemKind.UNAVAILABLE, "too many follow the alerts", headers={"Retry-After": "5"})
        last = last_event_id or ""
        start = int(last) if last.isdecimal() and len(last) < 19 else after
        return Following(view, request, start)

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
        description=(
            "Then the incident is not told again as more severe. That it was acknowledged comes as an alert. "
            "What is over, or is a digest of others, cannot be acknowledged: 409."
        ),
        openapi_extra=operate,
    )
    async def acknowledge(pipeline: str, alert: AlertName, body: Acknowledgement, request: Request) -> Acknowledged:
        parts.check(pipeline)
        incident = _open_incident(parts.alerts, alert)
        return await command(
            AlertCommand(new_id(), "acknowledge", now_ms(), _author(request), alert=incident, note=body.note)
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
        _refuse_unreachable(item, parts.allowed_hosts)
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


def _open_incident(view: AlertsView, name: str) -> str:
    """Return the open incident that a text names, which knows only the last of its alerts by their ids.

    Raise a problem for what no open one has: the alerts service would skip it too.
    """
    found = view.find(name)
    if found is None:
        raise Problem(ProblemKind.NOT_FOUND, f"there is no alert {name!r:.100}")
    if found.status == DIGEST:
        raise Problem(ProblemKind.CONFLICT, f"{name!r:.100} is a digest: acknowledge what it sums up")
    if found.incident not in view.open_incidents():
        raise Problem(ProblemKind.CONFLICT, f"the incident of the alert {name!r:.100} is over")
    return found.incident


def _refuse_senseless(item: AlertCommand, declared: frozenset[str]) -> None:
    """Raise a problem for what the alerts service would skip without a word to who asked."""
    _refuse_declared(item.subscription, declared)
    try:
        subscription_of(item)
    except CommandError as error:
        raise Problem(ProblemKind.REFUSED, error.message) from error


def _refuse_unreachable(item: AlertCommand, allowed: frozenset[str]) -> None:
    """Raise a problem for a webhook that delivery would refuse at each attempt; names are looked up there, not here."""
    if item.channel != "webhook":
        return
    try:
        parse_url(item.url, allowed)
    except ForbiddenError as error:
        members: Members = {"errors": [{"where": "body/webhook/url", "what": str(error)}]}
        raise Problem(ProblemKind.REFUSED, str(error), members=members) from error


def _refuse_declared(name: str, declared: frozenset[str]) -> None:
    if name in declared:
        raise Problem(ProblemKind.CONFLICT, f"the pipeline file declares the subscription {name!r}: change it there")


def _author(request: Request) -> str:
    caller = request.scope.get(CALLER)
    return caller.name if isinstance(caller, ApiKey) else ""


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
