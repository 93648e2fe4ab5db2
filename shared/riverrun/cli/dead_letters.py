"""``riverrun dead-letters``: list, show and replay what could not be accepted."""

from __future__ import annotations

import base64
from collections import Counter
from itertools import islice
from typing import Annotated

import typer

from riverrun.cli.arguments import Json, PipelineFile
from riverrun.cli.output import OUT, Exit, emit_json, fields, table
from riverrun.launch.letters import Letter, dead_letters, send_again
from riverrun.launch.session import open_session
from riverrun.runtime.settings import Settings

APP = typer.Typer(no_args_is_help=True, help="List, show and replay what could not be accepted.")

Reason = Annotated[str | None, typer.Option(help="Only those with this reason code.")]


def _chosen(letter: Letter, reason: str | None) -> bool:
    return reason is None or letter.letter.reason == reason


@APP.command("list")
def list_letters(
    file: PipelineFile,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(help="Show at most this many, the oldest first.", min=0)] = 20,
    json: Json = False,
) -> None:
    """Count dead letters by reason, and list the first of them."""
    with open_session(file, Settings.from_environment()) as session:
        letters = [each for each in dead_letters(session.deployment) if _chosen(each, reason)]
    counts = Counter(each.letter.reason for each in letters)
    shown = list(islice(letters, limit))
    if json:
        emit_json({"total": len(letters), "reasons": dict(counts), "letters": [_as_json(each) for each in shown]})
        return
    table("dead letters by reason", ("reason", "count"), sorted(counts.items()))
    rows = [(each.name, each.letter.reason, _place(each), each.letter.detail[:90]) for each in shown]
    table(f"first {len(rows)} of {len(letters)}", ("name", "reason", "from", "detail"), rows)


@APP.command()
def show(
    file: PipelineFile,
    name: Annotated[str, typer.Argument(help="The dead letter's name as `list` prints it, such as 0:17.")],
    json: Json = False,
) -> None:
    """Show one dead letter with its headers and bytes."""
    with open_session(file, Settings.from_environment()) as session:
        found = next((each for each in dead_letters(session.deployment) if each.name == name), None)
    if found is None:
        OUT.print(f"there is no dead letter {name}")
        raise typer.Exit(Exit.FAILED)
    if json:
        emit_json(_as_json(found))
        return
    letter = found.letter
    fields(
        f"dead letter {name}",
        {
            "reason": letter.reason,
            "detail": letter.detail,
            "from": _place(found),
            "key": repr(letter.key),
            "headers": repr(letter.headers),
            "value": repr(letter.value),
        },
    )


@APP.command()
def replay(
    file: PipelineFile,
    names: Annotated[list[str] | None, typer.Argument(help="Names as `list` prints them.")] = None,
    reason: Reason = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    json: Json = False,
) -> None:
    """Send dead letters to their topics again, after what was wrong has been put right.

    A record that was accepted meanwhile is dropped as a duplicate; one that is still bad becomes a dead letter again.
    """
    if not (names or reason or everything):
        OUT.print("name dead letters, give a --reason, or say --all")
        raise typer.Exit(Exit.USAGE)
    wanted = set(names or ())
    with open_session(file, Settings.from_environment()) as session:
        chosen = [
            each
            for each in dead_letters(session.deployment)
            if _chosen(each, reason) and (not wanted or each.name in wanted)
        ]
        sent: list[str] = []
        send_again(session.addresses, chosen, lambda each: sent.append(each.name))
    if json:
        emit_json({"replayed": sent})
    else:
        OUT.print(f"sent {len(sent)} dead letters to their topics again")


def _place(each: Letter) -> str:
    source = each.letter.source
    return f"{source.topic}[{source.partition}]@{source.position}"


def _as_json(each: Letter) -> dict[str, object]:
    letter = each.letter
    return {
        "name": each.name,
        "reason": letter.reason,
        "detail": letter.detail,
        "topic": letter.source.topic,
        "partition": letter.source.partition,
        "offset": letter.source.position,
        "timestamp": letter.timestamp,
        "key": _base64(letter.key),
        "value": _base64(letter.value),
        "headers": [{"name": name, "value": _base64(value)} for name, value in letter.headers],
    }


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()
