"""API keys: what is stored, who is let in, and the command that makes and revokes them."""

from __future__ import annotations

import ast
import hashlib
import hmac
import inspect
import json
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riverrun import api_keys
from riverrun.api_keys import KeyChecker, KeyFile, KeyFileError, Scope, key_file_path
from riverrun.errors import SettingsError
from tests.cli.commands import run


def test_the_secret_is_stored_nowhere(tmp_path: Path) -> None:
    """The file holds the secret's SHA-256, not the secret, and only its owner may read it."""
    file = KeyFile(tmp_path / "keys" / "keys.json")
    text = file.make("billing", [Scope.PREDICT], now=1)
    secret = text.split(".")[2]
    content = file.path.read_text(encoding="utf-8")
    assert secret not in content
    assert hashlib.sha256(secret.encode()).hexdigest() in content
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_only_the_right_key_is_identified(tmp_path: Path) -> None:
    """A key is found by its own text alone, until it expires or is revoked."""
    file = KeyFile(tmp_path / "keys.json")
    text = file.make("a", [Scope.READ, Scope.READ], now=1, expires=100)
    other = file.make("b", list(Scope), now=1)
    checker = KeyChecker(file)
    found = checker.identify(text, 99)
    assert found is not None
    assert (found.name, found.scopes) == ("a", (Scope.READ,))
    assert checker.identify(text, 100) is None
    mixed = ".".join([*text.split(".")[:2], other.split(".")[2]])
    assert checker.identify(mixed, 50) is None
    file.revoke(found.id, now=50)
    assert checker.identify(text, 51) is not None
    checker.refresh()
    assert checker.identify(text, 51) is None
    assert file.revoke(found.id, now=60).revoked == 50


def test_the_time_does_not_tell_how_near_a_guess_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right, wrong, or of an id that nobody has: each is one comparison of two whole digests, in constant time."""
    file = KeyFile(tmp_path / "keys.json")
    texts = {"right": file.make("a", [Scope.READ], now=1), "revoked": file.make("b", [Scope.READ], now=1)}
    _, number, secret = texts["right"].split(".")
    file.revoke(texts["revoked"].split(".")[1], now=1)
    texts["wrong"] = f"rr1.{number}.{'A' * len(secret)}"
    texts["nearly right"] = f"rr1.{number}.{secret[:-1]}{'B' if secret[-1] == 'A' else 'A'}"
    texts["unknown id"] = f"rr1.{'2' * len(number)}.{secret}"
    compared: list[tuple[str, str]] = []

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return hmac.compare_digest(one, other)

    # In place of the module that the checker sees: nothing else may compare digests there.
    monkeypatch.setattr(api_keys, "hmac", SimpleNamespace(compare_digest=compare))
    checker = KeyChecker(file)
    for what, text in texts.items():
        compared.clear()
        found = checker.identify(text, 2)
        assert (found is not None) == (what == "right"), what
        assert len(compared) == 1, what
        (pair,) = compared
        assert hashlib.sha256(text.split(".")[2].encode()).hexdigest() in pair, what
        assert all(re.fullmatch("[0-9a-f]{64}", each) for each in pair), what
        assert (pair[0] == pair[1]) == (what in ("right", "revoked")), what


def test_digests_are_compared_nowhere_else() -> None:
    """No ``==`` meets a digest in what checks keys: that would end at the first letter that differs."""
    tree = ast.parse(inspect.getsource(api_keys))
    compared = [part for node in ast.walk(tree) if isinstance(node, ast.Compare) for part in ast.walk(node)]
    names = {part.attr for part in compared if isinstance(part, ast.Attribute)}
    names |= {part.id for part in compared if isinstance(part, ast.Name)}
    assert "id" in names, "comparisons are found at all"
    assert not names & {"digest", "_digest", "secret"}


@given(st.text(max_size=80))
def test_any_other_text_is_nobody(text: str) -> None:
    """Nothing that a stranger sends is a key, or an error."""
    assert KeyChecker(KeyFile(Path("/nonexistent/keys.json"))).identify(text, 1) is None


def test_keys_made_at_once_are_all_kept(tmp_path: Path) -> None:
    """Several who make and revoke keys at the same time lose none."""
    file = KeyFile(tmp_path / "keys.json")
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda n: KeyFile(file.path).make(f"k{n}", [Scope.READ], now=n), range(40)))
    checker = KeyChecker(file)
    assert all(checker.identify(text, 1) for text in texts)
    assert len({key.id for key in file.entries()}) == 40


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    """A damaged file, an unknown key, a key without a scope or with an odd name."""
    file = KeyFile(tmp_path / "keys.json")
    for bad in ("{", "[1]", '[{"id": "a"}]', '[{"id":"a","name":"n","scopes":["all"],"digest":"","created":1}]'):
        file.path.write_text(bad, encoding="utf-8")
        with pytest.raises(KeyFileError, match="cannot be read"):
            file.entries()
        with pytest.raises(KeyFileError):
            file.make("a", [Scope.READ], now=1)
        assert file.path.read_text(encoding="utf-8") == bad
    file.path.unlink()
    with pytest.raises(SettingsError, match="no scope"):
        file.make("a", [], now=1)
    with pytest.raises(SettingsError, match="no name"):
        file.make("a\n", [Scope.READ], now=1)
    with pytest.raises(KeyFileError, match="no key 'nobody'"):
        file.revoke("nobody", now=1)


def test_the_command(tmp_path: Path) -> None:
    """``riverrun keys`` makes a key that works, lists it without its secret, and revokes it."""
    environment = {"RIVERRUN_DATA": str(tmp_path)}
    text = run("keys", "make", "billing", "--scope", "predict", "--scope", "read", environment=environment).out.strip()
    file = KeyFile(key_file_path(tmp_path, {}))
    found = KeyChecker(file).identify(text, 2**62)
    assert found is not None
    assert found.scopes == (Scope.PREDICT, Scope.READ)
    made = run("keys", "make", "soon", "--scope", "operate", "--expires", "90d", "--json", environment=environment)
    assert made.document["expires"] - file.entries()[1].created == 90 * 86_400_000
    listed = run("keys", "list", environment=environment)
    assert ("billing" in listed.out, text.split(".")[2] in listed.out) == (True, False)
    ran = run("keys", "revoke", found.id, "--json", environment=environment)
    assert (ran.code, ran.document["state"]) == (0, "revoked")
    states = [key["state"] for key in run("keys", "list", "--json", environment=environment).document["keys"]]
    assert states == ["revoked", "valid"]
    assert KeyChecker(file).identify(text, 2**62) is None


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("make", "a"), 2, "--scope"),
        (("make", "a", "--scope", "everything"), 2, "everything"),
        (("make", "a", "--scope", "read", "--expires", "0d"), 2, "--expires"),
        (("make", "a", "--scope", "read", "--expires", "soon"), 1, "not a duration"),
        (("revoke", "nobody"), 1, "no key 'nobody'"),
    ],
)
def test_wrong_usage_is_told(tmp_path: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    """What is wrong is said in words, with an exit code."""
    ran = run("keys", *arguments, environment={"RIVERRUN_DATA": str(tmp_path)})
    assert (ran.code, words in ran.err) == (code, True), ran


def test_the_setting_says_where(tmp_path: Path) -> None:
    """``RIVERRUN_API_KEYS`` moves the file."""
    elsewhere = tmp_path / "elsewhere.json"
    run("keys", "make", "a", "--scope", "read", environment={"RIVERRUN_API_KEYS": str(elsewhere)})
    assert json.loads(elsewhere.read_text(encoding="utf-8"))[0]["name"] == "a"
