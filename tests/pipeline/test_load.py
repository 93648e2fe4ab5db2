"""Loading a pipeline file: what it gives, and what is said when it gives nothing."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from riverrun.pipeline import LoadError, Pipeline, load
from riverrun.pipeline.check import check_file
from riverrun.pipeline.load import module_name
from tests.pipeline.pipelines import RIGHT, edited, line_of


@pytest.fixture(autouse=True)
def clean_modules() -> Iterator[None]:
    """Leave the interpreter's modules and paths as they were."""
    modules, paths = set(sys.modules), list(sys.path)
    yield
    sys.path[:] = paths
    for name in set(sys.modules) - modules:
        if name.startswith("riverrun_pipeline_") or name == "shop_models":
            del sys.modules[name]


def write(folder: Path, text: str, name: str = "shop.py") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def failure(file: Path) -> LoadError:
    """Load what cannot be loaded; the check tells the same as its one problem."""
    with pytest.raises(LoadError) as caught:
        load(file)
    (problem,) = check_file(file)
    error = caught.value
    assert (problem.code, problem.message, problem.location) == (error.code, error.message, error.location)
    return error


def test_a_file_gives_its_pipeline(tmp_path: Path) -> None:
    """Whatever the variable is called, and by how many names it goes."""
    file = write(tmp_path, RIGHT + "\nanother_name = pipeline\n")
    pipeline = load(file)
    assert isinstance(pipeline, Pipeline)
    assert pipeline.name == "returned"
    assert pipeline.location is not None
    assert pipeline.location == (str(file), line_of(RIGHT, "pipeline = Pipeline("))


def test_a_class_of_a_pipeline_file_can_be_pickled(tmp_path: Path) -> None:
    """Its module stays importable under the name that the pickle says, else no model of one's own could be stored."""
    file = write(tmp_path, RIGHT)
    model = load(file).champion.build()
    assert type(model).__module__ == module_name(file) == "riverrun_pipeline_shop"
    assert vars(pickle.loads(pickle.dumps(model))) == {"seen": 0}


def test_the_same_file_is_run_once(tmp_path: Path) -> None:
    """So that its classes stay the same; a changed text is run anew."""
    file = write(tmp_path, RIGHT)
    first = load(file)
    assert load(file) is first
    write(tmp_path, edited(('"returned"', '"changed"')))
    assert load(file).name == "changed"


def test_a_file_that_fails_makes_no_way_for_itself(tmp_path: Path) -> None:
    """What was loaded before under that name is still there, so that its models can still be stored."""
    file = write(tmp_path, RIGHT)
    model = load(file).champion.build()
    write(tmp_path, RIGHT + "\n1 / 0\n")
    failure(file)
    assert vars(pickle.loads(pickle.dumps(model))) == {"seen": 0}
    fresh = write(tmp_path, "1 / 0\n", "never.py")
    failure(fresh)
    assert module_name(fresh) not in sys.modules


def test_modules_beside_the_file_can_be_imported(tmp_path: Path) -> None:
    """A pipeline may be spread over files."""
    write(tmp_path, "RATE = 0.5\n", "shop_models.py")
    assert load(write(tmp_path, "from shop_models import RATE\n" + RIGHT)).name == "returned"


@pytest.mark.parametrize(
    ("text", "code", "says", "line"),
    [
        ("x = 1\n", "no-pipeline", "shop.py has no Pipeline at module level", 1),
        ("", "no-pipeline", "no Pipeline", 1),
        ("a = 1\nb = (2\nc = 3\n", "syntax-error", "this is not Python", 2),
        ("a = 1\n  b = 2\n", "syntax-error", "indent", 2),
        ("a = 1\n\nb = a / 0\n", "file-fails", "ZeroDivisionError: division by zero", 3),
        ("def f():\n    return {}['delay']\n\nf()\n", "file-fails", "KeyError: 'delay'", 2),
        ("import sys\nsys.exit(3)\n", "file-fails", "SystemExit: 3", 2),
        ("import no_such_module_anywhere\n", "import-fails", "no_such_module_anywhere", 1),
        ("from riverrun import Streem\n", "import-fails", "Streem", 1),
        ("from riverrun import Stream\n\nStream('a', key='k')\n", "bad-stream", "needs id=", 3),
    ],
)
def test_what_cannot_be_loaded_is_told_with_its_line(
    tmp_path: Path, text: str, code: str, says: str, line: int
) -> None:
    """Whatever the file raises: one sentence, and the line of the file that it came from."""
    file = write(tmp_path, text)
    error = failure(file)
    assert error.code == code
    assert says in error.message
    assert error.location == (str(file), line)


def test_two_pipelines_are_one_too_many(tmp_path: Path) -> None:
    """The line of the second is told, and what both are called."""
    start = RIGHT.index("pipeline = Pipeline(")
    text = RIGHT + "\n\n" + RIGHT[start:].replace("pipeline = Pipeline(", "other = Pipeline(")
    error = failure(write(tmp_path, text))
    assert error.code == "many-pipelines"
    assert "2 pipelines: other, pipeline" in error.message
    assert error.location is not None
    assert error.location.line == line_of(text, "other = Pipeline(")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Nor can a folder be read; how to get a file is said."""
    for path in (tmp_path / "absent.py", tmp_path):
        error = failure(path)
        assert error.code == "unreadable-file"
        assert "riverrun init" in error.hint


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are no Python either."""
    file = tmp_path / "shop.py"
    file.write_bytes(b"x = '\xff\xfe'\n")
    assert failure(file).code == "syntax-error"
    file.write_bytes(b"x = 1\x00\n")
    assert failure(file).code == "syntax-error"


def test_what_a_user_interrupts_is_not_kept(tmp_path: Path) -> None:
    """Ctrl-C while a file runs goes on up, and leaves no half-loaded module behind."""
    file = write(tmp_path, "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load(file)
    assert module_name(file) not in sys.modules
