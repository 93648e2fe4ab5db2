"""What ``riverrun access`` prints is what it applies, and holds no password."""

from __future__ import annotations

import shlex
from hashlib import sha256
from pathlib import Path

import pytest

from riverrun.launch.access_files import access_files
from riverrun.launch.access_grant import keep_passwords
from riverrun.launch.process import EXIT_USAGE
from riverrun.launch.rights import Account, Operation, Resource, Right, accounts_of
from riverrun.pipeline import load
from riverrun.pipeline.template import write_new
from services.catalogue import STAGES
from tests.cli.commands import run

SERVICES = ("ingest", "features", "score", "labels", "learn", "alerts", "gateway", "operator", "auditor", "replayer")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_new("shop", tmp_path / "shop")[0]


def _accounts(file: Path) -> list[Account]:
    return accounts_of(load(file), STAGES)


def _parsed(script: str) -> dict[str, set[Right]]:
    """Read the rights out of the script for Kafka's own tool."""
    found: dict[str, set[Right]] = {}
    for line in script.splitlines():
        if not line.startswith("allow "):
            continue
        words = shlex.split(line)
        options = list(zip(words[2::2], words[3::2], strict=True))
        (operation,) = [Operation(value) for name, value in options if name == "--operation"]
        prefixed = ("--resource-pattern-type", "prefixed") in options
        for name, value in options:
            if name.removeprefix("--") in set(Resource):
                found.setdefault(words[1], set()).add(
                    Right(Resource(name.removeprefix("--")), value, operation, prefixed)
                )
    return found


def test_the_script_holds_exactly_the_rights_that_are_applied(file: Path) -> None:
    """Read back from the text, every account has the rights that ``--apply`` would give it."""
    accounts = _accounts(file)
    script = access_files("shop", accounts, {})["kafka-acls.sh"]
    assert _parsed(script) == {account.user: set(account.kafka) for account in accounts}


def test_every_service_has_an_account_of_its_own(file: Path) -> None:
    """Each has its user and its settings; nobody may do everything, and writes are never by a broad prefix."""
    accounts = {account.service: account for account in _accounts(file)}
    assert set(SERVICES) <= set(accounts)
    assert len({account.user for account in accounts.values()}) == len(accounts)
    assert {name for name, account in accounts.items() if account.redis} == {"features", "gateway", "auditor"}
    for account in accounts.values():
        for right in account.kafka:
            assert right.name not in ("", "*")
            if right.operation is Operation.WRITE and right.resource is Resource.TOPIC and right.prefixed:
                assert (account.service, right.name) == ("alerts", "riverrun.shop.alerts")
    writers = {
        account.service
        for account in accounts.values()
        if Right(Resource.TOPIC, "shop.models", Operation.WRITE) in account.kafka
    }
    assert writers == {"learn"}
    for service in ("gateway", "auditor"):
        assert all(rule.startswith(("%R~", "+")) for rule in accounts[service].redis), "it must not write"
        assert not {"+set", "+hset", "+fcall", "+function|load"} & set(accounts[service].redis)


def test_passwords_are_made_once_and_kept_apart(file: Path, tmp_path: Path) -> None:
    """Each user's is random, in a private file of its own, the same the next time; other files hold hashes at most."""
    ran = run("access", file, "--to", tmp_path / "access", "--json")
    assert ran.code == 0
    accounts, secrets = _accounts(file), tmp_path / "access" / "secrets"
    passwords = {account.user: (secrets / account.user).read_text().strip() for account in accounts}
    assert len(set(passwords.values())) == len(accounts)
    assert min(map(len, passwords.values())) > 40
    assert all((secrets / user).stat().st_mode & 0o077 == 0 for user in passwords)
    assert keep_passwords(secrets, accounts) == passwords
    written = {path.name: path.read_text() for path in (tmp_path / "access").iterdir() if path.is_file()}
    assert written == ran.document["files"]
    for text in (*written.values(), ran.out, ran.err):
        assert not [user for user, password in passwords.items() if password in text]
    assert sha256(passwords["shop-features"].encode()).hexdigest() in written["redis-users.acl"]
    assert set(written) == {
        "kafka-users.sh",
        "kafka-acls.sh",
        "redis-users.acl",
        *(f"{a.service}.env" for a in accounts),
    }


def test_without_a_folder_it_only_prints(file: Path) -> None:
    """The files go to standard output, with a place where hashes belong, and nothing is made up."""
    ran = run("access", file)
    assert ran.code == 0
    for name in ("kafka-users.sh", "kafka-acls.sh", "redis-users.acl", "learn.env"):
        assert f"==> {name} <==" in ran.out
    assert "<sha256-of-the-password>" in ran.out
    assert [path.name for path in file.parent.iterdir() if path.name == "secrets"] == []


@pytest.mark.parametrize("options", [("--apply",), ("--apply", "--to", "access")])
def test_applying_needs_passwords_and_servers(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    """It is refused in words when there is no folder for passwords, or no server is named."""
    monkeypatch.chdir(tmp_path)
    ran = run("access", file, *options, "--json")
    assert ran.code == EXIT_USAGE
    assert ran.document["hint"]
