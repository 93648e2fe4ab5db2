"""Looking at a pipeline that ran: its status, models and dead letters, as text and as one JSON document."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest

from riverrun.embedded import Addresses, ClientProperties
from riverrun.errors import UnavailableError
from riverrun.launch.letters import REPLAYED, Letter, send_again
from riverrun.records.items import DeadLetter, Source
from riverrun.runtime.ports import TopicSpec
from tests.cli.commands import run
from tests.cli.conftest import Call
from tests.cli.parcels import BAD, HEADERS, NAME, SHIPPED, TOO_FAR, Parcels

STAGES = ["ingest", "features", "score", "labels", "learn"]
LOOKING = (
    "status FILE --interval 0",
    "dead-letters list FILE",
    "dead-letters show FILE 0:0",
    "models list FILE",
    "models show FILE logistic",
)


def filled(command: str, file: Path) -> list[object]:
    """Put the file into a command."""
    return [file if each == "FILE" else each for each in command.split()]


def test_status_counts_everything(call: Call, parcels: Parcels) -> None:
    """All stages are told with nothing left to do, every message is accounted for, and the ledger adds up."""
    document = call("status", parcels.file, "--interval", "0", "--json").document
    stages = {each["stage"]: each for each in document["stages"]}
    assert (document["pipeline"], list(stages)) == (NAME, STAGES)
    assert {each["lag"] for each in stages.values()} == {0}
    counters = stages["ingest"]["counters"]
    assert counters == {
        "accepted": parcels.accepted,
        "duplicates": 1,
        "dead_letters": len(BAD),
        **{f"dead:{bad.reason}": 1 for bad in BAD},
    }
    assert stages["ingest"]["folded"] == parcels.accepted + 1 + len(BAD)
    ledger = document["ledger"]
    assert ledger["predictions"] == parcels.good
    assert ledger["predictions"] == sum(ledger[name] for name in ("labelled", "defaulted", "expired", "pending"))
    assert set(document["models"]) == {"logistic", "tree"}
    assert document["aliases"] == {"champion": "logistic"}


def test_status_for_people_has_a_line_for_each_stage(call: Call, parcels: Parcels) -> None:
    """The table names every stage with its partition, and the ledger and models follow."""
    ran = call("status", parcels.file, "--interval", "0.1")
    assert ran.code == 0
    assert all(f"{stage}[0]" in ran.out for stage in STAGES)
    assert "label ledger" in ran.out
    assert "logistic" in ran.out


def test_dead_letters_are_listed_with_their_reasons(call: Call, parcels: Parcels) -> None:
    """Each bad message is there in order, with its name, reason, place, key, bytes and headers."""
    document = call("dead-letters", "list", parcels.file, "--json").document
    assert document["total"] == len(BAD)
    assert document["reasons"] == {bad.reason: 1 for bad in BAD}
    for number, (letter, bad) in enumerate(zip(document["letters"], BAD, strict=True)):
        assert letter["name"] == f"0:{number}"
        assert (letter["reason"], letter["topic"], letter["partition"]) == (bad.reason, SHIPPED, 0)
        assert letter["detail"]
        assert letter["key"] == (None if bad.key is None else base64.b64encode(bad.key).decode())
        assert base64.b64decode(letter["value"]) == bad.value
        headers = [(each["name"], each["value"] and base64.b64decode(each["value"])) for each in letter["headers"]]
        assert headers == HEADERS
    offsets = [letter["offset"] for letter in document["letters"]]
    assert offsets == sorted(offsets)


def test_dead_letters_are_chosen_and_limited(call: Call, parcels: Parcels) -> None:
    """``--reason`` counts and lists only that reason; ``--limit`` lists fewer and counts all."""
    document = call("dead-letters", "list", parcels.file, "--reason", "rule", "--json").document
    assert (document["total"], [each["reason"] for each in document["letters"]]) == (1, ["rule"])
    document = call("dead-letters", "list", parcels.file, "--limit", "1", "--json").document
    assert (document["total"], len(document["letters"])) == (len(BAD), 1)
    ran = call("dead-letters", "list", parcels.file)
    assert ran.code == 0
    assert all(bad.reason in ran.out for bad in BAD)
    assert f"first {len(BAD)} of {len(BAD)}" in ran.out


def test_a_dead_letter_is_shown_as_it_was(call: Call, parcels: Parcels) -> None:
    """``show`` prints reason, key, headers and bytes, and lets no byte command the terminal."""
    ran = call("dead-letters", "show", parcels.file, "0:1")
    assert ran.code == 0
    assert "not_json" in ran.out
    assert "('trace', b't-1'), ('trace', b't-2'), ('none', None)" in ran.out
    assert repr(BAD[1].value) in ran.out
    assert "\x1b" not in ran.out
    document = call("dead-letters", "show", parcels.file, "0:0", "--json").document
    assert json.loads(base64.b64decode(document["value"])) == TOO_FAR


def test_models_are_listed_and_shown(call: Call, parcels: Parcels) -> None:
    """Published versions have position, digest and metrics; an alias stands for its model, the newest comes first."""
    document = call("models", "list", parcels.file, "--json").document
    assert {each["model"] for each in document["versions"]} == {"logistic", "tree"}
    assert [(each["alias"], each["model"]) for each in document["aliases"]] == [("champion", "logistic")]
    shown = call("models", "show", parcels.file, "champion", "--json").document
    newest = [each for each in document["versions"] if each["model"] == "logistic"][-1]
    assert shown == newest
    assert (
        call("models", "show", parcels.file, "logistic", "--position", newest["position"], "--json").document == shown
    )
    ran = call("models", "show", parcels.file, "logistic")
    assert (ran.code, newest["digest"] in ran.out) == (0, True)
    ran = call("models", "list", parcels.file)
    assert (ran.code, newest["digest"][:16] in ran.out) == (0, True)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("models show FILE forest", "no version of 'forest' is published"),
        ("models show FILE champion --position 999999", "at 999999"),
        ("dead-letters show FILE 7:7", "there is no dead letter 7:7"),
        ("dead-letters show FILE nonsense", "there is no dead letter nonsense"),
        ("dead-letters replay FILE 0:0 9:9", "there is no dead letter 9:9"),
        ("dead-letters replay FILE 0:0 --reason truncated", "no dead letter 0:0 with the reason truncated"),
    ],
)
def test_what_is_not_there_is_told(call: Call, parcels: Parcels, command: str, words: str) -> None:
    """An unknown model, version or dead letter ends with exit code 1, and says where to find those that exist."""
    ran = call(*filled(command, parcels.file))
    assert (ran.code, ran.out, words in ran.err) == (1, "", True), ran.err
    ran = call(*filled(command, parcels.file), "--json")
    assert ran.code == 1
    assert words in ran.document["error"]
    assert ran.document["hint"]


@pytest.mark.parametrize("command", LOOKING)
def test_json_is_one_document(call: Call, parcels: Parcels, command: str) -> None:
    """With ``--json`` every command prints exactly one JSON object to standard output."""
    ran = call(*filled(command, parcels.file), "--json")
    assert (ran.code, type(ran.document)) == (0, dict)


def test_a_pipeline_that_never_ran_is_looked_at(call: Call, parcels: Parcels) -> None:
    """Before anything ran there are no stages, letters or models, which is no error; to show a model then is one."""
    folder = parcels.file.parent / "never"
    shutil.copytree(parcels.file.parent, folder, ignore=shutil.ignore_patterns("data", "never"))
    file = folder / parcels.file.name
    file.write_text(file.read_text(encoding="utf-8").replace(f'"{NAME}"', '"cli-never"'), encoding="utf-8")
    document = call("status", file, "--interval", "0", "--json").document
    assert (document["stages"], document["models"], sum(document["ledger"].values())) == ([], {}, 0)
    ran = call("status", file, "--interval", "0")
    assert (ran.code, "no stage has run yet" in ran.out) == (0, True)
    assert call("dead-letters", "list", file, "--json").document == {"total": 0, "reasons": {}, "letters": []}
    assert call("dead-letters", "replay", file, "--all", "--json").document == {"replayed": []}
    assert call("models", "list", file, "--json").document == {"versions": [], "aliases": []}
    ran = call("models", "show", file, "champion")
    assert (ran.code, "no version of any model" in ran.err) == (1, True)


def test_topics_that_are_missing_are_named(call: Call, parcels: Parcels, pipeline_file: Path) -> None:
    """On a broker that is not riverrun's own, producers' topics are not made: they are named, with exit code 1."""
    text = pipeline_file.read_text(encoding="utf-8").replace('"parcels.', '"cli-absent.')
    pipeline_file.write_text(text, encoding="utf-8")
    ran = call("status", pipeline_file, "--json")
    assert ran.code == 1
    assert "cli-absent.delivered, cli-absent.shipped" in ran.document["error"]
    # Nor are they when the Redis alone is riverrun's own.
    mixed = {**parcels.environment, "RIVERRUN_REDIS": "", "RIVERRUN_DATA": str(pipeline_file.parent / "data")}
    assert run("status", pipeline_file, "--json", environment=mixed).code == 1
    assert not parcels.log.partitions("cli-absent.shipped")


def test_more_letters_than_the_client_holds_are_sent(parcels: Parcels, kafka: ClientProperties) -> None:
    """A replay waits while the client's queue is full, sends everything in order, and tells what is too large."""
    topic = "cli-many"
    parcels.log.ensure_topics([TopicSpec(topic, 1)])
    small = Addresses(
        ClientProperties({**kafka, "queue.buffering.max.messages": "7"}), "redis://unused", embedded=False
    )
    letters = [
        Letter(0, DeadLetter("rule", "", Source(topic, 0, number), 0, None, b"%d" % number, ()))
        for number in range(200)
    ]
    assert send_again(small, iter(letters)) == [each.name for each in letters]
    assert [record.value for record in parcels.log.tail(topic, 0, 500)] == [b"%d" % number for number in range(200)]
    huge = DeadLetter("too_large", "", Source(topic, 0, 0), 0, None, bytes(2_000_000), ())
    with pytest.raises(UnavailableError, match="refuses a record for cli-many"):
        send_again(small, [Letter(0, huge)])


def test_replay_after_a_fix(call: Call, parcels: Parcels) -> None:
    """A rule is loosened, its dead letters are sent again with key, bytes and headers, and their events predicted.

    What was sent twice is predicted once. Dead letters without a key are sent too, and come back as dead letters.
    """
    text = parcels.file.read_text(encoding="utf-8").replace("between(0, 20_000)", "between(0, 40_000)")
    parcels.file.write_text(text, encoding="utf-8")
    end = parcels.log.high_watermark(SHIPPED, 0)
    ran = call("dead-letters", "replay", parcels.file, "--reason", "rule")
    assert (ran.code, "sent 1 dead letters" in ran.out) == (0, True)
    assert call("dead-letters", "replay", parcels.file, "0:0", "0:1", "--json").document == {"replayed": ["0:0", "0:1"]}
    sent = parcels.log.tail(SHIPPED, 0, 3)
    assert [(each.key, each.value) for each in sent] == [(bad.key, bad.value) for bad in (BAD[0], BAD[0], BAD[1])]
    assert all(list(each.headers)[:-1] == HEADERS for each in sent)
    assert list(sent[0].headers)[-1] == (REPLAYED, f"{SHIPPED}/0/{end - len(BAD)}".encode())
    # In another order than the pipeline's, which is what counts.
    parcels.run_until_ingested(parcels.messages + 3, "learn", "labels", "score", "features", "ingest")
    predicted = parcels.predictions()
    assert (len(predicted), predicted[-1]) == (parcels.good + 1, b"p900")
    document = call("dead-letters", "list", parcels.file, "--json").document
    assert document["reasons"] == {bad.reason: 1 + (bad is BAD[1]) for bad in BAD}
    counters = call("status", parcels.file, "--interval", "0", "--json").document["stages"][0]["counters"]
    assert (counters["accepted"], counters["duplicates"]) == (parcels.accepted + 1, 2)
