"""Messages by Apprise, to a service of its kind on this machine."""

from __future__ import annotations

import json
import logging

import pytest

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


@pytest.mark.parametrize("urls", ["", "nonsense://sesame/x"])
def test_urls_that_mean_nothing_are_refused(urls: str, caplog: pytest.LogCaptureFixture) -> None:
    """At start, without the URL in the message or the log."""
    with pytest.raises(SettingsError) as error:
        AppriseChannel("ops", urls)
    assert "sesame" not in str(error.value) + caplog.text
