"""What needs no server: new files, checks, help that teaches, and wrong input of every kind told in words."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from riverrun import __version__
from riverrun.adapters.kafka_properties import KafkaTuning
from riverrun.cli.app import APP
from riverrun.cli.output import printable, table
from riverrun.records.ids import derived_id
from tests.cli.commands import Ran, run

FILES = ("parcel_late.py", "shipped.avsc", "delivered.avsc", "events.jsonl")
LOOKING = ("status", "dead-letters list", "models list")
"""Commands that look at a pipeline's log and need nothing but its file."""


def test_a_new_pipeline_passes_the_check(tmp_path: Path) -> None:
    """``init`` writes a pipeline, its schemas and events; ``check`` finds nothing wrong with them."""
    ran = run("init", "parcel-late", "--in", tmp_path / "new", "--json")
    assert (ran.code, ran.document) == (0, {"files": [str(tmp_path / "new" / name) for name in FILES]})
    checked = run("check", tmp_path / "new" / "parcel_late.py")
    assert checked == Ran(0, f"{tmp_path / 'new' / 'parcel_late.py'} is fine\n", "")


def test_init_says_what_comes_next(tmp_path: Path) -> None:
    """For people, ``init`` lists the files and names the next command."""
    ran = run("init", "parcel-late", "--in", tmp_path)
    assert [line.split()[-1] for line in ran.out.splitlines()[:4]] == [str(tmp_path / name) for name in FILES]
    assert ran.out.splitlines()[-1] == f"Next: riverrun check {tmp_path / 'parcel_late.py'}"


def test_init_overwrites_nothing(pipeline_file: Path) -> None:
    """A second ``init`` in the same place fails and leaves the file as it was."""
    pipeline_file.write_text("mine = 1\n", encoding="utf-8")
    ran = run("init", "parcel-late", "--in", pipeline_file.parent)
    assert (ran.code, ran.out) == (1, "")
    assert "parcel_late.py is there already" in ran.err
    assert pipeline_file.read_text(encoding="utf-8") == "mine = 1\n"


def test_init_refuses_a_name_that_topics_cannot_have(tmp_path: Path) -> None:
    """A bad name is wrong usage: exit code 2, as text or as JSON, and nothing is written."""
    ran = run("init", "bad name", "--in", tmp_path / "new")
    assert (ran.code, ran.out, "'bad name' is no name" in ran.err) == (2, "", True)
    ran = run("init", "bad name", "--in", tmp_path / "new", "--json")
    assert (ran.code, ran.err) == (2, "")
    assert ran.document["error"].startswith("'bad name' is no name")
    assert "letters, digits" in ran.document["hint"]
    assert not (tmp_path / "new").exists()


def test_check_gives_producers_their_schema_ids(pipeline_file: Path) -> None:
    """With ``--json``, ``check`` prints the id that frames each topic's messages, and the feature set's version."""
    document = run("check", pipeline_file, "--json").document
    schemas = {f"parcels.{name}": pipeline_file.with_name(f"{name}.avsc") for name in ("shipped", "delivered")}
    assert document["problems"] == []
    assert document["schema_ids"] == {topic: derived_id(_schema(path)) for topic, path in schemas.items()}
    assert len(document["feature_set"]) == 16


def _schema(path: Path) -> dict[str, object]:
    text: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return text


def test_check_tells_problems_with_their_lines(pipeline_file: Path) -> None:
    """Problems are printed with file and line, as JSON too, and the exit code is 1."""
    text = pipeline_file.read_text(encoding="utf-8").replace("shipped.carrier", "shipped.carier")
    pipeline_file.write_text(text, encoding="utf-8")
    line = next(number for number, each in enumerate(text.splitlines(), 1) if "carier" in each)
    ran = run("check", pipeline_file)
    assert ran.code == 1
    assert f"{pipeline_file}:{line}: error: " in ran.out
    assert "1 problem(s)" in ran.out
    ran = run("check", pipeline_file, "--json")
    (problem,) = ran.document["problems"]
    assert (ran.code, problem["file"], problem["line"]) == (1, str(pipeline_file), line)
    assert "carier" in problem["message"]


@pytest.mark.parametrize("command", ["run FILE --all", "up FILE"])
def test_a_pipeline_with_problems_is_not_run(pipeline_file: Path, command: str) -> None:
    """What the check finds is found before anything is started, so that nothing wrong is ever written."""
    text = pipeline_file.read_text(encoding="utf-8").replace('join="parcel_id"', 'join="parcel"')
    pipeline_file.write_text(text, encoding="utf-8")
    data = pipeline_file.parent / "data"
    arguments = [pipeline_file if each == "FILE" else each for each in command.split()]
    ran = run(*arguments, "--json", environment={"RIVERRUN_DATA": str(data)})
    assert ran.code == 1
    assert "2 problem(s)" in ran.document["error"]
    assert "joined by 'parcel'" in ran.document["error"]
    assert not data.exists()


def test_a_feature_defined_twice_is_not_run(pipeline_file: Path) -> None:
    """A second definition hides the first from Python, so only the file's text shows it: ``up`` reads that too."""
    text = pipeline_file.read_text(encoding="utf-8")
    doubled = text.replace(
        '"carrier": shipped.carrier,', '"carrier": shipped.carrier,\n        "carrier": shipped.weight,'
    )
    assert doubled != text
    pipeline_file.write_text(doubled, encoding="utf-8")
    data = pipeline_file.parent / "data"
    ran = run("up", pipeline_file, "--json", environment={"RIVERRUN_DATA": str(data)})
    assert (ran.code, "'carrier'" in ran.document["error"]) == (1, True)
    assert not data.exists()


WRONG_FILES = {
    "no Python": (b"def wrong(\n", "not Python"),
    "binary": (bytes(range(256)), "not Python"),
    "no pipeline": (b"x = 1\n", "no Pipeline at module level"),
    "fails": (b"1 / 0\n", "ZeroDivisionError"),
    "leaves": (b"raise SystemExit(0)\n", "SystemExit"),
    "brackets": (b"raise ValueError('[/red] [bold]')\n", "[/red] [bold]"),
    "imports": (b"import nothing_of_this_name\n", "nothing_of_this_name"),
    "empty": (b"", "no Pipeline at module level"),
}


@pytest.mark.parametrize("command", ["check", "status", "run --all"])
@pytest.mark.parametrize(("content", "words"), WRONG_FILES.values(), ids=WRONG_FILES.keys())
def test_a_wrong_file_is_told_in_words(tmp_path: Path, command: str, content: bytes, words: str) -> None:
    """A file that is no pipeline gives its name, the line and what is wrong; exit code 1, and never a trace."""
    file = tmp_path / "wrong.py"
    file.write_bytes(content)
    name, *options = command.split()
    ran = run(name, file, *options)
    told = ran.out + ran.err
    assert ran.code == 1
    assert f"{file}:1: " in told
    assert words in told
    assert "Traceback" not in told
    ran = run(name, file, *options, "--json")
    assert (ran.code, ran.err) == (1, "")
    message = ran.document["problems"][0]["message"] if name == "check" else ran.document["error"]
    assert words in message


@pytest.mark.parametrize("command", ["check", "up", "run", *LOOKING])
def test_a_missing_file_is_wrong_usage(tmp_path: Path, command: str) -> None:
    """A file that is not there ends any command with exit code 2 and its name."""
    ran = run(*command.split(), tmp_path / "gone.py")
    assert ran.code == 2
    assert "gone.py" in ran.err.replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "FILE"), "no stage is named"),
        (("run", "FILE", "ingest", "scores"), "no stage is called scores"),
        (("dead-letters", "replay", "FILE"), "nothing says which dead letters"),
    ],
    ids=["no stage", "no such stage", "no dead letters"],
)
def test_what_is_left_out_is_asked_for(pipeline_file: Path, arguments: tuple[str, ...], words: str) -> None:
    """Arguments that make no sense end with exit code 2 and say what to give instead."""
    given = [pipeline_file if each == "FILE" else each for each in arguments]
    ran = run(*given)
    assert (ran.code, ran.out, words in ran.err) == (2, "", True)
    ran = run(*given, "--json")
    assert (ran.code, ran.err) == (2, "")
    assert words in ran.document["error"]
    assert ran.document["hint"]


@pytest.mark.parametrize("command", ["nothing", "run FILE --unknown", "models", "dead-letters forget FILE"])
def test_an_unknown_command_or_option_is_wrong_usage(pipeline_file: Path, command: str) -> None:
    """What does not exist ends with exit code 2."""
    assert run(*(pipeline_file if each == "FILE" else each for each in command.split())).code == 2


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RIVERRUN_BATCH_LIMIT", "many"),
        ("RIVERRUN_DRAIN_LIMIT_MS", "0"),
        ("RIVERRUN_KAFKA", "::::"),
        ("RIVERRUN_REDIS", "http://cache"),
        ("RIVERRUN_KAFKA_OPTIONS", "not json"),
    ],
)
@pytest.mark.parametrize("command", ["run FILE --all", "up FILE", "status FILE", "dead-letters list FILE"])
def test_a_wrong_setting_is_named(pipeline_file: Path, command: str, variable: str, value: str) -> None:
    """A malformed setting ends any command with exit code 2, before anything is started."""
    arguments = [pipeline_file if each == "FILE" else each for each in command.split()]
    data = pipeline_file.parent / "data"
    ran = run(*arguments, environment={variable: value, "RIVERRUN_DATA": str(data)})
    assert (ran.code, ran.out) == (2, "")
    assert "error: " in ran.err
    ran = run(*arguments, "--json", environment={variable: value, "RIVERRUN_DATA": str(data)})
    assert ran.code == 2
    assert set(ran.document) == {"error", "hint"}
    assert not data.exists()


@pytest.fixture
def closed_port() -> Iterator[str]:
    """An address at which nothing listens, and nothing will while the test runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


def test_an_absent_server_is_told_soon(pipeline_file: Path, closed_port: str) -> None:
    """Where no broker answers, the address is named and the exit code is 69, long before requests time out."""
    environment = {"RIVERRUN_KAFKA": closed_port, "RIVERRUN_REDIS": f"redis://{closed_port}/0"}
    began = time.monotonic()
    ran = run("status", pipeline_file, "--json", environment=environment)
    assert ran.code == 69
    assert time.monotonic() - began < KafkaTuning().request_timeout
    assert ran.document["error"].startswith(f"no Kafka broker answers at {closed_port}")
    assert ran.document["hint"]


def _commands(group: TyperGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list[str | None]]]:
    """Go through all commands: how each is called, and which of its parameters have no help."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), [each.name for each in command.params if not getattr(each, "help", None)]


ROOT = get_command(APP)
COMMANDS = dict(_commands(ROOT) if isinstance(ROOT, TyperGroup) else ())


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_teaches(path: tuple[str, ...]) -> None:
    """Every command's help has an example of its use and a sentence for each argument and option."""
    ran = run(*path, "--help")
    assert ran.code == 0
    assert f"riverrun {' '.join(path)}" in ran.out.partition("Usage:")[2].partition("\n")[2]
    assert COMMANDS[path] == []


def test_the_commands_are_all_there() -> None:
    """The commands that the documentation promises exist, and the first help names them and the exit codes."""
    promised = {"init", "check", "up", "run", "status", "dead-letters", "models", "demo"}
    assert promised <= {path[0] for path in COMMANDS}
    told = run("--help").out
    assert all(name in told for name in promised)
    assert all(f" {code} " in told for code in (0, 1, 2, 69))


def test_the_version_is_printed() -> None:
    """``--version`` says the version and nothing else."""
    assert run("--version") == Ran(0, f"riverrun {__version__}\n", "")


def test_strangers_texts_command_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters are written out, and brackets in cells stay what they are."""
    assert printable("a\x1b[2Jb\x07\u202eZürich\n") == "a\\x1b[2Jb\\x07\\u202eZürich\n"
    table("letters", ("detail", "count"), [("[/red] [bold]x\x1b[2J", 3)])
    shown = capsys.readouterr().out
    assert "[/red] [bold]x\\x1b[2J" in shown
    assert "\x1b" not in shown


def test_a_new_pipeline_can_be_moved(pipeline_file: Path) -> None:
    """The files of a new pipeline can be moved: paths in them are relative to the file."""
    moved = pipeline_file.parent.with_name("moved")
    shutil.move(pipeline_file.parent, moved)
    assert run("check", moved / pipeline_file.name).code == 0
