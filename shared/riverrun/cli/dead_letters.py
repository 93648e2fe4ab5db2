"""``riverrun dead-letters``: list, show and replay what could not be accepted."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator
from typing import Annotated

import typer

from riverrun.cli.arguments import Json, PipelineFile
from riverrun.cli.failures import telling
from riverrun.cli.output import OUT, emit_json, fields, followed, table
from riverrun.errors import RiverrunError, SettingsError
from riverrun.launch.letters import Letter, count_about, dead_letters, send_again
from riverrun.launch.session import Session, open_session
from riverrun.runtime.settings import Settings

APP = typer.Typer(
    no_args_is_help=True,
    help="List, show and replay what could not be accepted.\n\n"
    "Every record that ingest refuses is kept in the pipeline's dead-letters topic, with a reason code, its place, "
    "headers and bytes.",
)

Reason = Annotated[
    str | None, typer.Option(metavar="CODE", help="Only those with this reason code, such as wrong_type.")
]


def _read(session: Session, reason: str | None) -> Iterator[Letter]:
    letters = dead_letters(session.deployment)
    for each in followed(letters, "reading dead letters", count_about(session.deployment)):
        if reason is None or each.letter.reason == reason:
            yield each


@APP.command("list")
@telling
def list_letters(
    file: PipelineFile,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(help="Show at most this many, the oldest first.", min=0)] = 20,
    json: Json = False,
) -> None:
    """Count dead letters by reason, and list the first of them.

    [bold]riverrun dead-letters list flight_delay.py --reason rule[/bold]
    """
    counts: Counter[str] = Counter()
    shown: list[Letter] = []
    with open_session(file, Settings.from_environment()) as session:
        for each in _read(session, reason):
            counts[each.letter.reason] += 1
            if len(shown) < limit:
                shown.append(each)
    total = counts.total()
    if json:
        emit_json({"total": total, "reasons": dict(counts), "letters": [_as_json(each) for each in shown]})
        return
    table("dead letters by reason", ("reason", "count"), sorted(counts.items()))
    rows = [(each.name, each.letter.reason, _place(each), each.letter.detail[:90]) for each in shown]
    table(f"first {len(rows)} of {total}", ("name", "reason", "from", "detail"), rows)


@APP.command()
@telling
def show(
    file: PipelineFile,
    name: Annotated[str, typer.Argument(help="The dead letter's name as `list` prints it, such as 0:17.")],
    json: Json = False,
) -> None:
    """Show one dead letter with its headers and bytes.

    [bold]riverrun dead-letters show flight_delay.py 0:17[/bold]
    """
    with open_session(file, Settings.from_environment()) as session:
        found = next((each for each in _read(session, None) if each.name == name), None)
    if found is None:
        raise _missing([name])
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
            "timestamp": str(letter.timestamp),
            "key": repr(letter.key),
            "headers": repr(letter.headers),
            "value": repr(letter.value),
        },
    )


@APP.command()
@telling
def replay(
    file: PipelineFile,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Names as `list` prints them, such as 0:17.")
    ] = None,
    reason: Reason = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    json: Json = False,
) -> None:
    """Send dead letters to their topics again, after what was wrong has been put right.

    A record that is still bad becomes a dead letter again. One that was sent twice is dropped as a duplicate, unless
    its event is older than the pipeline's horizon for duplicates. Dead letters stay where they are: the log keeps what
    happened.

    [bold]riverrun dead-letters replay flight_delay.py --reason rule[/bold]
    """
    if not (names or reason or everything):
        raise SettingsError("nothing says which dead letters", hint="name some, give a --reason, or say --all")
    wanted = set(names or ())
    with open_session(file, Settings.from_environment()) as session:
        chosen = [each for each in _read(session, reason) if not wanted or each.name in wanted]
        unknown = wanted - {each.name for each in chosen}
        if unknown:
            raise _missing(sorted(unknown), reason)
        again = followed(chosen, "sending", len(chosen))
        sent = send_again(session.addresses, again)
    if json:
        emit_json({"replayed": sent})
    else:
        OUT.print(f"sent {len(sent)} dead letters to their topics again")


def _missing(names: list[str], reason: str | None = None) -> RiverrunError:
    with_reason = "" if reason is None else f" with the reason {reason}"
    return RiverrunError(
        f"there is no dead letter {', '.join(names)}{with_reason}",
        hint="`riverrun dead-letters list FILE` prints their names",
    )


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
