"""Tests of those who say what is malformed: what they call so is so, and they let nothing pass that is."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from hostile.message_judge import MessageJudge
from hostile.request_judge import RequestJudge, Verdict
from hostile.strict_json import NotJsonError, strict_json
from riverrun.records.definition import StreamSchema

NUMBER = 7
FIELDS = [
    {"name": "id", "type": "string"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "size", "type": "double"},
    {"name": "weight", "type": ["null", "double"], "default": None},
]
STREAM = StreamSchema("asked", "asked", {"type": "record", "name": "Asked", "fields": FIELDS}, "id", "id", "at")
JUDGE = MessageJudge(STREAM, NUMBER)
FRAME = b"\x00\x00\x00\x00\x07"
RECORD = b"\x02a" + b"\x02" + struct.pack("<d", 1.5) + b"\x00"
GOOD: dict[str, object] = {"id": "a", "at": 1, "size": 1.5}


@pytest.mark.parametrize(
    "changed", [{}, {"at": 7.0}, {"weight": None}, {"weight": 2}, {"more": [1]}, {"size": 10**300}]
)
def test_events_in_json_are_readable(changed: dict[str, object]) -> None:
    """Whole numbers may be written as fractions, what has a default may be missing, and more may be there."""
    assert JUDGE.is_readable(json.dumps(GOOD | changed).encode())


@pytest.mark.parametrize(
    "changed",
    [
        {"id": ""},
        {"id": None},
        {"id": "\ud800"},
        {"id": "x" * 20_000},
        {"at": "1"},
        {"at": True},
        {"at": 1.5},
        {"at": -1},
        {"at": 2**62},
        {"size": float("inf")},
        {"size": "1"},
        {"weight": []},
        {"size": None},
    ],
)
def test_other_json_is_not(changed: dict[str, object]) -> None:
    """A value that is not of its field's type, or too long, or no time, is none of the stream's."""
    assert not JUDGE.is_readable(json.dumps(GOOD | changed).encode())
    assert not JUDGE.is_readable(json.dumps([GOOD | changed]).encode())


@pytest.mark.parametrize("missing", GOOD)
def test_an_event_lacks_nothing_that_has_no_default(missing: str) -> None:
    """Without an id, a time or a number there is no event."""
    assert not JUDGE.is_readable(json.dumps({name: GOOD[name] for name in GOOD if name != missing}).encode())


def test_records_in_avro_are_read_to_the_byte() -> None:
    """A record is readable as it is, and neither cut anywhere, nor with more behind it, nor of another schema."""
    assert JUDGE.is_readable(FRAME + RECORD)
    assert JUDGE.is_readable(FRAME + RECORD[:-1] + b"\x02" + struct.pack("<d", 2.0))
    for end in range(len(RECORD)):
        assert not JUDGE.is_readable(FRAME + RECORD[:end])
    for wrong in (
        FRAME + RECORD + b"\x00",
        b"\x00\x00\x00\x00\x08" + RECORD,
        b"\x01\x00\x00\x00\x07" + RECORD,
        FRAME + RECORD[:-1] + b"\x04",
        FRAME + b"\x01a" + RECORD[2:],
        FRAME + b"\x02\xff" + RECORD[2:],
        FRAME + b"\xff" * 9 + b"\x01" + RECORD[1:],
        FRAME + b"\xff" * 11 + RECORD,
        b"",
        None,
        b"\x00" * 300_000,
    ):
        assert not JUDGE.is_readable(wrong)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"NaN",
        b"[Infinity]",
        b'"\xff"',
        b'{"a":1,"a":2}',
        b"[" * 9_000 + b"]" * 9_000,
        b"\xef\xbb\xbf1",
        b"01",
    ],
)
def test_json_is_read_strictly(data: bytes) -> None:
    """What Python's parser forgives is none."""
    with pytest.raises(NotJsonError):
        strict_json(data)


TEXT = {"type": "string"}
DOCUMENT: dict[str, Any] = {
    "paths": {
        "/open": {"get": {"security": []}},
        "/things/{thing}": {
            "get": {
                "parameters": [
                    {"in": "path", "name": "thing", "schema": TEXT},
                    {"in": "query", "name": "limit", "schema": {"type": "integer", "minimum": 1}},
                ]
            },
            "put": {
                "parameters": [{"in": "path", "name": "thing", "schema": TEXT}],
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Note"}}}},
            },
        },
    },
    "components": {"schemas": {"Note": {"type": "object", "required": ["note"], "properties": {"note": TEXT}}}},
}
REQUESTS = RequestJudge(DOCUMENT, "rr1.a.b", {"thing": {"one"}})
HEAD = "Host: a\r\nAuthorization: Bearer rr1.a.b\r\n"


def request(line: str, head: str = HEAD, body: bytes = b"") -> bytes:
    """Write a request in HTTP/1.1."""
    length = f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\n" if body else ""
    return f"{line}\r\n{head}{length}\r\n".encode("latin-1") + body


@pytest.mark.parametrize(
    "sent",
    [
        request("GET /open HTTP/1.1", "Host: a\r\n"),
        request("GET /open HTTP/1.0", ""),
        request("GET http://a/open?x=%ff#y HTTP/1.1"),
        request("GET /open HTTP/1.1", body=b"whatever"),
        request("GET /open HTTP/1.1", HEAD + "Content-Length: 9\r\n"),
        request("GET /things/one?limit=5&other=x HTTP/1.1"),
        request("GET /things/%6fne HTTP/1.1"),
        request("PUT /things/one HTTP/1.1", body=b'{"note": "x", "more": 1}'),
        request("GET /open HTTP/1.1") + b"\x00more",
    ],
)
def test_what_nothing_forbids_is_valid(sent: bytes) -> None:
    """What is declared, and beside it what nobody reads: other parameters, and bodies where none is read."""
    assert REQUESTS.judge(sent) is Verdict.VALID


@pytest.mark.parametrize(
    "sent",
    [
        request("GET /nothing HTTP/1.1"),
        request("GET /open/ HTTP/1.1"),
        request("GET /open%0a HTTP/1.1"),
        request("POST /open HTTP/1.1"),
        request("get /open HTTP/1.1"),
        request("GET /things/two HTTP/1.1"),
        request("GET /things/one?limit=0 HTTP/1.1"),
        request("GET /things/one?limit=1_0 HTTP/1.1"),
        request("GET /things/one?limit= HTTP/1.1"),
        request("GET /things/one HTTP/1.1", "Host: a\r\n"),
        request("GET /things/one HTTP/1.1", HEAD.replace("rr1", "rr2")),
        request("GET /things/one HTTP/1.1", HEAD.replace("Bearer", "Basic")),
        request("PUT /things/one HTTP/1.1", body=b'{"note": 1}'),
        request("PUT /things/one HTTP/1.1", body=b'{"note": "x", "n": NaN}'),
        request("PUT /things/one HTTP/1.1", body='{"note": "x"}'.encode("utf-16")),
        request("PUT /things/one HTTP/1.1", HEAD + "Content-Length: 13\r\n") + b'{"note": "x"}',
        request("PUT /things/one HTTP/1.1", body=b'{"note": "' + b"x" * 2**20 + b'"}'),
        request("PUT /things/one HTTP/1.1", HEAD + "Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n")
        + b"zz\r\n",
        request("GET /open HTTP/1.1", ""),
        request("GET /open HTTP/2.0"),
        request("GET /open HTTP/1.1", HEAD + "Host: b\r\n"),
        request("GET /open HTTP/1.1", HEAD + "no colon\r\n"),
        request("GET /open HTTP/1.1", HEAD + "X: \x01\r\n"),
        request("GET /open HTTP/1.1", HEAD + "X: a\r\n b\r\n"),
        request("GET /open HTTP/1.1", HEAD + "X: " + "x" * 40_000 + "\r\n"),
        request("GET /open HTTP/1.1", HEAD + "Content-Length: -1\r\n"),
        request("GET /open HTTP/1.1", HEAD + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
        b"\x16\x03\x01\r\n\r\n",
    ],
)
def test_what_must_be_refused_is_malformed(sent: bytes) -> None:
    """A path, method, parameter, key, body or head that HTTP or the route does not allow."""
    assert REQUESTS.judge(sent) is Verdict.MALFORMED


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\r\n\r\n",
        b"GET /open HTTP/1.1\r\nHost: a\r\n",
        b"{",
        b"\x16\x03\x01",
        request("PUT /things/one HTTP/1.1", body=b'{"note": "x"}')[:-1],
        request("PUT /things/one HTTP/1.1", HEAD + "Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n")
        + b"5\r\n{",
    ],
)
def test_what_is_cut_short_is_no_request(sent: bytes) -> None:
    """No end of a head, or less of a body than was announced: whoever waits for more may hang up."""
    assert REQUESTS.judge(sent) is Verdict.INCOMPLETE
