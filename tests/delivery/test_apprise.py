"""Messages by Apprise, to a service of its kind on this machine."""

from __future__ import annotations

import email
import json
import logging
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import policy
from typing import Any

import pytest
import requests

from riverrun.delivery.apprise_channel import AppriseChannel
from riverrun.delivery.messages import Message, Result
from riverrun.errors import SettingsError
from tests.delivery.receiver import running

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
"""One of Apprise's own modules, loaded with the first URL, is for older Pythons."""

MESSAGE = Message("a-1", "title", "text", "critical", b"{}")


def test_a_message_is_handed_to_the_service() -> None:
    """Title, text with the id in it, and the severity as Apprise calls it."""
    with running() as receiver:
        channel = AppriseChannel("ops", f"json://127.0.0.1:{receiver.port}/hook")
        assert channel.deliver(MESSAGE).result is Result.DELIVERED
    document = json.loads(receiver.bodies()[0])
    assert (document["title"], document["type"]) == ("title", "failure")
    assert "a-1" in document["message"]


def test_a_service_that_refuses_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again; and no line of the log holds the URL with its token."""
    with running(statuses=[500]) as receiver, caplog.at_level(logging.DEBUG):
        channel = AppriseChannel("ops", f"json://user:sesame@127.0.0.1:{receiver.port}/hook")
        outcome = channel.deliver(MESSAGE)
    assert outcome.result is Result.FAILED
    assert "sesame" not in caplog.text + outcome.why


def test_of_several_services_none_is_told_again_because_another_fails() -> None:
    """The message is not delivered until all have taken it, and each takes it once; the next one all get."""
    with running() as well, running(statuses=[500, 500]) as ill:
        urls = f"json://127.0.0.1:{well.port}/a json://127.0.0.1:{ill.port}/b"
        channel = AppriseChannel("ops", urls)
        outcomes = [channel.deliver(MESSAGE) for _ in range(3)]
        again = channel.deliver(Message("a-2", "title", "text", "critical", b"{}"))
    assert [outcome.result for outcome in (*outcomes, again)] == [Result.FAILED] * 2 + [Result.DELIVERED] * 2
    assert "1 of its 2" in outcomes[0].why
    assert (len(well.bodies()), len(ill.bodies())) == (2, 4)


@pytest.mark.parametrize("urls", ["", "nonsense://sesame/x"])
def test_urls_that_mean_nothing_are_refused(urls: str, caplog: pytest.LogCaptureFixture) -> None:
    """At start, without the URL in the message or the log."""
    with pytest.raises(SettingsError) as error:
        AppriseChannel("ops", urls)
    assert "sesame" not in str(error.value) + caplog.text


SERVICES = {
    "Slack": ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "https://hooks.slack.com/services/T1JJ3T3L2/"),
    "Teams": (
        "workflow://prod-1.westus.logic.azure.com:443/643e69f83c8944/iA1BrtD4JD",
        "https://prod-1.westus.logic.azure.com",
    ),
    "PagerDuty": ("pagerduty://integrationkey@apikey", "https://events.pagerduty.com/"),
}
"""The form of each service's URL, with made-up tokens, and where its messages go."""


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_gets_its_own_form_of_message(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By one request to the service's own address, with title and text in it."""
    url, address = SERVICES[service]
    sent: list[tuple[str, str]] = []

    def send(session: requests.Session, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        del session, how
        sent.append((str(request.url), str(request.body)))
        answer = requests.Response()
        # Slack answers with this text and 200; PagerDuty with 202.
        answer.status_code, answer._content = 202 if service == "PagerDuty" else 200, b"ok"
        return answer

    monkeypatch.setattr(requests.Session, "send", send)
    assert AppriseChannel("ops", url).deliver(MESSAGE).result is Result.DELIVERED
    ((to, body),) = sent
    assert to.startswith(address)
    assert "title" in body
    assert "text" in body


class _Mailbox(socketserver.StreamRequestHandler):
    """As much of a mail server as takes one message (RFC 5321)."""

    def handle(self) -> None:
        self._say("220 here")
        letter: list[bytes] | None = None
        for line in self.rfile:
            if letter is None:
                word = line[:4].upper()
                letter = [] if word == b"DATA" else None
                self._say({b"DATA": "354 go on", b"QUIT": "221 bye"}.get(word, "250 well"))
            elif line == b".\r\n":
                self.server.letters.append(b"".join(letter))  # type: ignore[attr-defined]
                letter = None
                self._say("250 taken")
            else:
                letter.append(line)

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def mail_server() -> Iterator[tuple[int, list[bytes]]]:
    """Run a mail server; give its port and what it takes."""
    letters: list[bytes] = []
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mailbox) as server:
        server.letters = letters  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server.server_address[1], letters
        server.shutdown()


def test_a_message_comes_by_mail() -> None:
    """With the title as its subject, and the text in its body."""
    with mail_server() as (port, letters):
        url = f"mailto://127.0.0.1:{port}?from=riverrun@example.com&to=ops@example.com&mode=insecure"
        assert AppriseChannel("ops", url).deliver(MESSAGE).result is Result.DELIVERED
    (letter,) = [email.message_from_bytes(each, policy=policy.default) for each in letters]
    body = letter.get_body()
    assert (letter["Subject"], letter["To"]) == ("title", "ops@example.com")
    assert body is not None
    assert "a-1" in body.get_content()
