"""What bounds a process: its budget, late imports, the models' sizes, and the guard that ends it in good time."""

from __future__ import annotations

import copy
import logging
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import compose, forest, linear_model, preprocessing, proba, tree

from riverrun.errors import SettingsError
from riverrun.launch.memory_guard import MemoryGuard, resident_bytes
from riverrun.models.footprint import (
    ModelMemoryError,
    check_footprint,
    check_growth,
    footprint,
    has_more_objects,
)
from riverrun.models.pickling import dump_state, load_state
from riverrun.runtime.memory import Memory
from riverrun.runtime.settings import Settings
from tests.cli.commands import run

MIB = 1 << 20
SHARE = 50 * MIB


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("256MB", 256 * MIB),
        ("256M", 256 * MIB),
        ("1G", 1 << 30),
        ("1 GiB", 1 << 30),
        ("300000kb", 300_000 << 10),
        ("", 0),
    ],
)
def test_a_limit_is_read_as_people_write_it(text: str, limit: int) -> None:
    """K, M and G are powers of 1,024; without a limit everything is as in a process with memory to spare."""
    assert Memory.parsed(text).limit == limit
    assert (Memory.parsed(text) == Memory()) == (limit == 0)
    assert Settings.from_environment({"RIVERRUN_MEMORY": text}).memory.limit == limit


@pytest.mark.parametrize("text", ["lots", "256 apples", "-1G", "1.5G", "100MB", "0"])
def test_no_limit_and_too_little_are_refused(text: str) -> None:
    """What is no size, or less than the program itself takes, is told with what to write."""
    with pytest.raises(SettingsError) as told:
        Memory.parsed(text)
    assert told.value.hint


@given(limit=st.integers(192 * MIB, 8 << 30), inputs=st.integers(1, 4))
def test_the_parts_fit_into_the_whole(limit: int, inputs: int) -> None:
    """With all buffers and caches full, and models as large as they may be, something is left for the program."""
    memory = Memory.within(limit)
    local = 3 * (memory.state_cache + memory.block_cache + 2 * memory.memtable)
    # A decoded record and what it was decoded from take about 3 kB.
    reading = inputs * (memory.read_buffer + memory.read_ahead * 3_072)
    grows = local + reading + memory.write_buffer + memory.entities + memory.models
    assert grows <= limit - 100 * MIB
    assert all(getattr(memory, name) > 0 for name in Memory.__dataclass_fields__)


def test_wrong_limits_are_told_by_the_command_line() -> None:
    """``riverrun run --memory lots`` is a wrong usage, before anything is started."""
    ran = run("run", "examples/flights/pipeline.py", "--all", "--memory", "lots")
    assert ran.code == 2
    assert "256MB" in ran.err


_LATE = """
import sys
from riverrun.deferred_imports import deferred
with deferred(["pandas", "scipy"], absent=["sklearn"]):
    from river import compose, drift, forest, linear_model, metrics, naive_bayes, optim, preprocessing, proba, tree
heavy = {"pandas", "scipy", "sklearn"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
model = preprocessing.StandardScaler() | linear_model.LogisticRegression(optim.FTRLProximal())
trees = forest.ARFClassifier(n_models=3, seed=1)
for number in range(300):
    x, y = {"a": number % 7 - 3.0, "b": float(number % 5)}, number % 3 == 0
    for each in (model, trees):
        each.learn_one(x, y)
print([each.predict_proba_one({"a": 1.0, "b": 2.0})[True].hex() for each in (model, trees)])
print(sorted(heavy & set(sys.modules)))
auc = metrics.ROCAUC()
for number in range(50):
    auc.update(number % 3 == 0, (number * 7 % 50) / 50)
print(auc.get())
print(sorted(heavy & set(sys.modules)))
import pandas
print(pandas.DataFrame({"x": [1]}).shape, isinstance(pandas.DataFrame(), pandas.DataFrame))
"""


def _lines(script: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_is_put_off_is_imported_when_it_is_used_and_gives_the_same() -> None:
    """Models learn without SciPy and pandas; a metric that needs SciPy gets it; nothing comes out otherwise."""
    late = _lines(_LATE)
    early = _lines("import pandas, scipy, sklearn\n" + _LATE.replace("assert not", "assert"))
    assert (late[0], late[2]) == (early[0], early[2])
    assert (late[1], late[3]) == ("[]", "['scipy']")
    assert late[4] == "(1, 1) True"


_STANDING_IN = """
import sys
from riverrun.deferred_imports import deferred
with deferred(["colorsys", "wave", "email"], absent=["sched"]):
    import colorsys, email.message
    from wave import Error
    from email import message
    try:
        import sched
    except ModuleNotFoundError as error:
        print("absent:", error.name)
    print(isinstance(ValueError(), Error), "wave" in sys.modules and sys.modules["wave"].__spec__.origin)
import sched
print(colorsys.rgb_to_hsv(0, 0, 1)[2], colorsys.ONE_THIRD.__class__.__name__)
class Own(Error): ...
print(Own.__mro__[1].__module__, isinstance(Own(), Error), issubclass(Own, sys.modules["wave"].Error))
print(message.Message().is_multipart(), email.message.Message().is_multipart())
"""


def test_stand_ins_stand_for_functions_classes_and_modules() -> None:
    """They are called, inherited from and asked for instances of; what is absent is absent only meanwhile."""
    assert _lines(_STANDING_IN) == [
        "absent: sched",
        "False None",
        "1 float",
        "wave True True",
        "False False",
    ]


@pytest.mark.parametrize(
    ("name", "model", "missing"),
    [
        ("a tree", tree.HoeffdingTreeClassifier, "max_depth"),
        ("in a pipeline", lambda: preprocessing.StandardScaler() | tree.HoeffdingTreeRegressor(), "max_depth"),
        ("a forest", lambda: forest.ARFClassifier(n_models=10, seed=1), "max_depth"),
        ("Mondrian", lambda: forest.AMFClassifier(n_estimators=3, seed=1), "max_nodes"),
    ],
)
def test_a_model_that_grows_without_bound_is_refused(name: str, model: type, missing: str) -> None:
    """The message names the model, its part, and the parameter that would bound it."""
    with pytest.raises(ModelMemoryError, match=missing) as told:
        check_growth(name, model(), SHARE)
    assert name in told.value.message
    assert missing in told.value.hint


@pytest.mark.parametrize(
    "model",
    [
        linear_model.LogisticRegression(),
        compose.Select("a") | tree.HoeffdingTreeClassifier(max_depth=8),
        tree.HoeffdingTreeClassifier(max_size=20),
        forest.ARFClassifier(n_models=4, max_size=10, seed=1),
        forest.ARFClassifier(n_models=10, max_depth=6, seed=1),
    ],
    ids=["linear", "depth", "size", "forest of small trees", "forest of flat trees"],
)
def test_bounded_models_pass(model: object) -> None:
    """What a parameter bounds, or does not grow by itself, is let through."""
    check_growth("m", model, SHARE)


def test_footprints_count_everything_once() -> None:
    """Shared parts count once, classes and modules never; of a long list nearly all is its elements."""
    text = "x" * 10_000
    assert footprint([text, text]) - footprint([text]) == 8
    assert footprint((sys, str, len)) == sys.getsizeof((1, 2, 3))
    numbers = [float(number) for number in range(1_000)]
    assert footprint(numbers) == sys.getsizeof(numbers) + 24 * 1_000
    assert has_more_objects(numbers, 1_000)
    assert not has_more_objects(numbers, 1_001)


def test_models_that_have_outgrown_their_share_are_named() -> None:
    """The message has the sizes, the largest model's name, and what to do."""
    models = {"small": [1.0], "large": [float(number) for number in range(100_000)]}
    check_footprint(models, 10 * MIB)
    with pytest.raises(ModelMemoryError, match=r"'large' takes 3\.") as told:
        check_footprint(models, MIB)
    assert "more memory" in told.value.hint


def test_unseeded_distributions_share_one_generator() -> None:
    """None has one of its own, not after a copy or a snapshot either; each can still be sampled."""
    make: Any = proba.Gaussian
    one = make()
    one.update(1.0)
    one.update(2.0)
    again: Any = load_state(dump_state(one))
    for each in (one, copy.deepcopy(one), again):
        assert "_rng" not in vars(each)
        assert isinstance(each.sample(), float)
    assert footprint([make() for _ in range(100)]) < 100 * 1_500


def test_seeded_distributions_keep_their_generators() -> None:
    """A generator that somebody has seeded is part of the model, and stays its own."""
    make: Any = proba.Gaussian
    seeded = [make(seed=1), make(seed=1)]
    for value in (1.0, 2.0, 4.0):
        for each in seeded:
            each.update(value)
    assert [seeded[0].sample() for _ in range(3)] == [seeded[1].sample() for _ in range(3)]
    assert footprint(seeded) > 2 * 2_500


def test_the_guard_ends_a_process_that_takes_too_much(caplog: pytest.LogCaptureFixture) -> None:
    """It looks once a second, says how much was taken of what was given, and stays with its verdict."""
    taken, now = [100 * MIB], [0.0]
    guard = MemoryGuard(200 * MIB, resident=lambda: taken[0], clock=lambda: now[0])
    assert not guard.look(0.25)
    taken[0] = 201 * MIB
    now[0] = 0.5
    assert not guard.look(0.25)
    now[0] = 1.0
    with caplog.at_level(logging.ERROR):
        assert guard.look(0.25)
    assert "takes 201 MiB, and was given 200" in caplog.text
    taken[0], now[0] = 0, 9.0
    assert guard.look(0.25)
    assert guard.exceeded


def test_resident_memory_is_told() -> None:
    """On Linux it is that of this process: some tens of MiB at least, and more with more."""
    if not sys.platform.startswith("linux"):
        assert resident_bytes() == 0
        return
    before = resident_bytes()
    ballast = bytearray(b"x") * (64 * MIB)
    assert before > 10 * MIB
    assert resident_bytes() - before > 50 * MIB
    assert len(ballast) == 64 * MIB
