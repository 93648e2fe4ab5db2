"""The unpickler loads what models are made of, by exact name, and nothing else."""

from __future__ import annotations

import functools
import importlib.util
import os
import pickle
import sys
from collections import Counter, defaultdict, deque
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from riverrun.models.digest import DigestError
from riverrun.models.names import river_names
from riverrun.models.pickling import (
    ForbiddenGlobalError,
    dump_state,
    load_state,
    restore_distribution,
    restore_member,
    restore_method,
)
from tests.models.zoo import river

_SPEC = importlib.util.spec_from_file_location("river_names", Path(__file__).parents[2] / "scripts" / "river_names.py")
assert _SPEC is not None
assert _SPEC.loader is not None
SCRIPT = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(SCRIPT)


def _global(module: str, name: str, argument: bytes = b"") -> bytes:
    """Assemble a pickle that calls ``module.name`` with one text, as an attacker would."""
    head = b"\x80\x05" + _text(module) + _text(name) + b"\x93"
    return head + (_text(argument.decode()) + b"\x85R." if argument else b".")


def _text(value: str) -> bytes:
    raw = value.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


FORBIDDEN = [
    ("os", "system"),
    ("posix", "system"),
    ("subprocess", "Popen"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("builtins", "getattr"),
    ("builtins", "__import__"),
    ("builtins", "open"),
    ("importlib", "import_module"),
    ("operator", "attrgetter"),
    ("pickle", "loads"),
    ("codecs", "decode"),
    ("sys", "exit"),
    ("copyreg", "_reconstructor"),
    ("types", "FunctionType"),
    ("numpy", "load"),
    ("numpy", "fromfile"),
    ("numpy.core.multiarray", "_reconstruct"),
    # By way of a module of River's that imports something dangerous, with a dot in the name and without.
    ("river.base.base", "sys.modules"),
    ("river.base.base", "inspect.os.system"),
    ("river.base.base", "inspect"),
    ("river.base.base", "copy.deepcopy"),
    ("river.base.base", "gc.collect"),
    ("river.stats.kolmogorov_smirnov", "_random"),
    # A class that is imported there, not defined there; a method; a special method; a class's innards.
    ("river.linear_model", "LogisticRegression"),
    ("river.linear_model.log_reg", "base.Classifier"),
    ("river.linear_model.log_reg", "LogisticRegression.__init__.__globals__"),
    ("river.linear_model.log_reg", "LogisticRegression.__init__"),
    # What River itself defines, but no model is made of; and a dot, though the thing behind it is harmless.
    ("river.bandit.evaluate", "evaluate"),
    ("river.base.viz", "to_html"),
    ("river.utils.pretty", "print_table"),
    ("river.drift.datasets.apple", "Apple"),
    ("river.base.estimator", "EstimatorMeta"),
    ("river.naive_bayes.gaussian", "GaussianNB._make_gaussian"),
    ("river.cluster.denstream", "DenStream.BufferItem"),
    ("riverrun.models.binned_crosses", "_hashed"),
    ("riverrun.models.names", "named"),
    ("river.linear_model.log_reg", "LogisticRegression.__class__"),
    ("river.linear_model.log_reg", "LogisticRegression.__subclasses__"),
    ("river.linear_model.log_reg", "__builtins__"),
    ("river.linear_model.log_reg", "__builtins__.eval"),
    ("river.linear_model.log_reg", "__loader__.exec_module"),
    ("river.stream.iter_csv", "iter_csv"),
    ("river.datasets.base", "RemoteDataset"),
    ("river.compat.river_to_sklearn", "River2SKLClassifier"),
    ("riverrun.models.pickling", "load_state"),
    ("riverrun.models.pickling", "_owner_of"),
    ("riverrun.models.ordering", "compose.Select"),
    ("riverrun.models.signing", "create_key"),
    ("river.no_such_module", "anything"),
    ("river..base", "Base"),
    ("", ""),
]


@pytest.mark.parametrize(("module", "name"), FORBIDDEN)
def test_forbidden_names_are_refused(module: str, name: str) -> None:
    """Whatever is not defined where it is asked for, or not needed by models, is refused by its name."""
    with pytest.raises(ForbiddenGlobalError):
        load_state(_global(module, name))


def test_refusal_comes_before_the_call(tmp_path: Path) -> None:
    """A pickle that would run a command is refused before it runs."""
    victim = tmp_path / "victim"
    for module in ("os", "posix", "river.base.base"):
        name = "inspect.os.system" if module.startswith("river") else "system"
        with pytest.raises(ForbiddenGlobalError):
            load_state(_global(module, name, f"touch {victim}".encode()))
    assert not victim.exists()


class _Bomb:
    def __init__(self, function: Any, *arguments: object) -> None:
        self.parts = (function, arguments)

    def __reduce__(self) -> Any:
        return self.parts


@pytest.mark.parametrize(
    "bomb",
    [
        functools.partial(os.system, "true"),
        _Bomb(functools.partial, os.system, "true"),
        _Bomb(functools.partial(eval, "1")),
        defaultdict(os.getcwd),
        _Bomb(getattr, [], "append"),
        _Bomb(map, str, [1]),
        Path("/"),
    ],
    ids=["partial", "partial by call", "partial of eval", "defaultdict", "getattr", "map", "path"],
)
def test_disguised_calls_are_refused(bomb: object) -> None:
    """A forbidden function is refused inside what is allowed, too: ``partial`` holds only what was loaded."""
    with pytest.raises(ForbiddenGlobalError):
        load_state(pickle.dumps(bomb))


def test_persistent_ids_and_extensions_are_refused() -> None:
    """The other ways in which a pickle refers to the outside lead nowhere."""
    for payload in (b"\x80\x05\x8c\x01aQ.", b"\x80\x05\x82\x01.", b"Pabc\n."):
        with pytest.raises(DigestError):
            load_state(payload)


def test_own_restoring_functions_check_their_arguments() -> None:
    """What riverrun itself puts into pickles cannot be turned against it."""
    for kind in (int, river.linear_model.LogisticRegression):
        with pytest.raises(ForbiddenGlobalError):
            restore_distribution(kind)
    model = river.linear_model.PAClassifier()
    assert restore_method(model, "_calc_tau_1") == model._calc_tau_1
    for name in ("__init__", "__reduce_ex__", "weights", "C", "nothing"):
        with pytest.raises(ForbiddenGlobalError):
            restore_method(model, name)
    with pytest.raises(ForbiddenGlobalError):
        restore_method([], "append")


def test_what_a_class_defines_is_restored_by_its_owner_alone() -> None:
    """A static function or a class inside a loaded class comes back; methods, and what it holds or inherits, do not."""
    assert load_state(dump_state(river.naive_bayes.GaussianNB._make_gaussian)) is not None
    assert load_state(dump_state(Own.Inner), {__name__}) is Own.Inner
    for owner, name in (
        (Own, "__init__"),
        (Own, "system"),
        (Own, "Any"),
        (Own, "nothing"),
        (Own(), "Inner"),
        (type, "mro"),
        (river.linear_model.LogisticRegression, "clone"),
        # Its own, but a method: it would be called with anything.
        (river.base.Base, "_get_params"),
    ):
        with pytest.raises(ForbiddenGlobalError):
            restore_member(cast("type", owner), name)


def test_the_list_of_rivers_names_is_the_locked_rivers() -> None:
    """The list on file is what the script would write, so that a new River changes it only under people's eyes."""
    assert SCRIPT.names() == river_names()
    first, *_ = resources.files("riverrun.models").joinpath("river_names.txt").read_text().splitlines()
    assert first.split()[-1] == version("river")


class Own:
    """Stands for a class of the pipeline file."""

    class Inner:
        pass

    system = os.system
    Any = Any

    def __init__(self) -> None:
        self.state = Own.Inner()


def own_function() -> int:
    return 1


def test_pipeline_file_may_bring_its_own_classes() -> None:
    """A module that was handed in may be used, but only for what it defines; otherwise it is refused."""
    payload = dump_state([Own(), own_function])
    loaded = load_state(payload, {__name__})
    assert isinstance(loaded, list)
    assert isinstance(loaded[0].state, Own.Inner)
    assert loaded[1] is own_function
    with pytest.raises(ForbiddenGlobalError, match="pipeline file"):
        load_state(payload)
    for name in ("os", "os.system", "pickle.loads", "Any", "linear_model.PAClassifier"):
        with pytest.raises(ForbiddenGlobalError):
            load_state(_global(__name__, name), {__name__})


Alias = Own


def test_a_dot_and_an_alias_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name with a dot is looked up at all, not even where a module has one; nor is a thing under another's name."""
    monkeypatch.setattr(sys.modules[__name__], "Own.Inner", Own.Inner, raising=False)
    for name in ("Own.Inner", "Alias"):
        with pytest.raises(ForbiddenGlobalError):
            load_state(_global(__name__, name), {__name__})


def test_common_values_come_back() -> None:
    """Standard containers and NumPy's objects come back equal."""
    state = [
        defaultdict(float, a=1.0),
        deque([1, 2], maxlen=3),
        Counter("aab"),
        {1, 2},
        b"x",
        1 + 2j,
        range(3),
    ]
    assert load_state(dump_state(state)) == state
    arrays = load_state(dump_state([np.arange(4.0), np.array(["a", 1], dtype=object), np.float32(2)]))
    assert isinstance(arrays, list)
    assert arrays[0].tolist() == [0, 1, 2, 3]
    assert arrays[1].tolist() == ["a", 1]
    assert arrays[2] == np.float32(2)


def test_unpicklable_models_are_refused_with_advice() -> None:
    """A lambda or an open file in a model gives an error that says what to do."""
    with pytest.raises(DigestError, match="lambda"):
        dump_state([lambda: 1])
    with pytest.raises(DigestError), Path(__file__).open() as file:
        dump_state(file)


def test_damaged_pickles_are_refused() -> None:
    """Bytes that are no pickle give the one error, not whatever pickle raises."""
    payload = dump_state(river.linear_model.LogisticRegression())
    for damaged in (b"", b"garbage", payload[:-1], payload[: len(payload) // 2]):
        with pytest.raises(DigestError):
            load_state(damaged)


def test_unseeded_generators_are_left_out() -> None:
    """The pickle of an unseeded distribution lacks its generator's 2.5 kB, that of a seeded one has them."""
    assert len(dump_state(river.proba.Gaussian())) < 500
    assert len(dump_state(river.proba.Gaussian(seed=1))) > 2_000
