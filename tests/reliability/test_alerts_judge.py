"""The judge of alerts is judged: each thing that can be wrong with them is found, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from chaos.findings import Sort
from chaos.plain_alerts import SUBSCRIPTION, Told, due, judge_alerts
from chaos.receiver import Delivery
from riverrun.records.items import Alert, Progress, Source

EXPECTED = [3, 5, 8, 13]


def _alert(number: int, position: int) -> Alert:
    identity = f"{position:032x}"
    words = identity, identity, "raised", "duplicates", "counter", "warning", "ingest duplicates"
    return Alert(*words, position, "rose", Source("t", 0, position), subscriptions=(SUBSCRIPTION,), seq=number)


def _alerts() -> list[Told]:
    return [Told(_alert(number, position), 1_000 + number) for number, position in enumerate(EXPECTED)]


def _taken(alerts: list[Told]) -> list[Delivery]:
    return [Delivery(each.alert.id, each.alert.id, 2_000) for each in alerts]


def test_what_is_right_is_found_to_be_so() -> None:
    """Deliveries may be repeated, and those before the subscription are nobody's."""
    alerts = _alerts()
    alerts[0].alert.subscriptions = ()
    taken = _taken(alerts[1:])
    assert list(judge_alerts(EXPECTED, alerts, [taken[0], *taken, taken[-1]])) == []


def _lose_alert(alerts: list[Told], taken: list[Delivery]) -> None:
    del alerts[1], taken[1]


def _double_alert(alerts: list[Told], taken: list[Delivery]) -> None:
    alerts.append(alerts[-1])


def _swap_alerts(alerts: list[Told], taken: list[Delivery]) -> None:
    alerts[1], alerts[2] = alerts[2], alerts[1]


def _invent_alert(alerts: list[Told], taken: list[Delivery]) -> None:
    alerts.append(Told(_alert(4, 21), 1_004))
    taken.append(Delivery(alerts[-1].alert.id, alerts[-1].alert.id, 2_000))


def _skip_number(alerts: list[Told], taken: list[Delivery]) -> None:
    alerts[-1].alert.seq += 1


def _forget_subscription(alerts: list[Told], taken: list[Delivery]) -> None:
    alerts[2].alert.subscriptions = ()


def _share_key(alerts: list[Told], taken: list[Delivery]) -> None:
    alerts[1].alert.id = alerts[0].alert.id
    del taken[1]


def _lose_delivery(alerts: list[Told], taken: list[Delivery]) -> None:
    del taken[2]


def _swap_deliveries(alerts: list[Told], taken: list[Delivery]) -> None:
    taken[0], taken[1] = taken[1], taken[0]


def _change_key(alerts: list[Told], taken: list[Delivery]) -> None:
    taken[1] = taken[1]._replace(key="another")


def _invent_delivery(alerts: list[Told], taken: list[Delivery]) -> None:
    taken.append(Delivery("no", "no", 2_000))


TAMPERED: dict[Callable[[list[Told], list[Delivery]], None], Sort] = {
    _lose_alert: Sort.LOST,
    _double_alert: Sort.DOUBLED,
    _swap_alerts: Sort.REORDERED,
    _invent_alert: Sort.WRONG,
    _skip_number: Sort.WRONG,
    _forget_subscription: Sort.LOST,
    _share_key: Sort.DOUBLED,
    _lose_delivery: Sort.LOST,
    _swap_deliveries: Sort.REORDERED,
    _change_key: Sort.WRONG,
    _invent_delivery: Sort.WRONG,
}


@pytest.mark.parametrize(("tamper", "sort"), TAMPERED.items(), ids=[each.__name__ for each in TAMPERED])
def test_what_is_wrong_is_found(tamper: Callable[[list[Told], list[Delivery]], None], sort: Sort) -> None:
    """One thing made wrong is found, as what it is."""
    alerts = _alerts()
    taken = _taken(alerts)
    tamper(alerts, taken)
    assert sort in {finding.sort for finding in judge_alerts(EXPECTED, alerts, taken)}


def _commits() -> Iterator[tuple[int, Progress]]:
    for offset, (stage, count) in enumerate(
        [("ingest", 0), ("score", 9), ("ingest", 2), ("ingest", 2), ("features", 1), ("ingest", 3)]
    ):
        yield offset, Progress(stage, 0, (), {}, {"duplicates": count}, 0)


def test_an_alert_is_due_when_the_counter_rises() -> None:
    """Of the one stage, and of it alone."""
    assert due(_commits()) == [2, 5]
