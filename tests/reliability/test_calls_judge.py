"""The judge of calls to the gateway is judged: each thing that can be wrong with its records is found."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from chaos.caller import Sent
from chaos.calling import judge_calls
from chaos.findings import Sort
from chaos.messages import Messages
from riverrun.records.ids import ManifestIds
from riverrun.runtime.ports import Record

READ = Messages(ManifestIds([], (), lambda entry: None))
"""Records in JSON, which it reads too, need no schema."""


def _event(number: int) -> dict[str, object]:
    return {"event_id": f"g{number}", "parcel_id": f"p{number}", "at": 1_000 + number}


def _record(number: int, offset: int) -> Record:
    event = _event(number)
    return Record("raw", 0, offset, 5_000 + offset, str(event["parcel_id"]).encode(), json.dumps(event).encode(), [])


def _right() -> tuple[dict[str, Sent], list[Record]]:
    """Three events that were accepted, the second sent twice and there twice, and one of the last request."""
    sent = {f"g{number}": Sent(_event(number), 1, ("raw", 0, offset)) for number, offset in ((0, 0), (1, 2), (2, 3))}
    sent["g1"].times = 2
    sent["g3"] = Sent(_event(3), 1)
    return sent, [_record(0, 0), _record(1, 1), _record(1, 2), _record(2, 3)]


def test_what_is_right_is_found_to_be_so() -> None:
    """Of a request that was not answered nobody knows whether it is there."""
    sent, records = _right()
    assert list(judge_calls(sent, records, READ)) == []
    assert list(judge_calls(sent, [*records, _record(3, 4)], READ)) == []


Tamper = Callable[[dict[str, Sent], list[Record]], None]


def _lose(sent: dict[str, Sent], records: list[Record]) -> None:
    del records[3]


def _misplace(sent: dict[str, Sent], records: list[Record]) -> None:
    sent["g2"].place = "raw", 0, 7


def _double(sent: dict[str, Sent], records: list[Record]) -> None:
    records.append(_record(0, 4))


def _invent(sent: dict[str, Sent], records: list[Record]) -> None:
    records.append(_record(9, 4))


def _change(sent: dict[str, Sent], records: list[Record]) -> None:
    sent["g0"].event["at"] = 7


def _other_key(sent: dict[str, Sent], records: list[Record]) -> None:
    records[0] = records[0]._replace(key=b"p1")


@pytest.mark.parametrize(
    ("tamper", "sort"),
    [
        (_lose, Sort.LOST),
        (_misplace, Sort.LOST),
        (_double, Sort.DOUBLED),
        (_invent, Sort.WRONG),
        (_change, Sort.WRONG),
        (_other_key, Sort.WRONG),
    ],
)
def test_what_is_wrong_is_found(tamper: Tamper, sort: Sort) -> None:
    """One thing made wrong is found, as what it is, and nothing else."""
    sent, records = _right()
    tamper(sent, records)
    assert [finding.sort for finding in judge_calls(sent, records, READ)] == [sort]
