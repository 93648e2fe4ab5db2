"""What ``riverrun access`` prints is what it applies, and holds no password."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import AuthenticationError, NoPermissionError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from riverrun.embedded.ports import choose_ports
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


def _program(folder: Path, name: str, script: str) -> None:
    """Put a program of this name into a folder."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(0o755)


def _run_script(script: Path, tools: Path, **settings: str) -> None:
    path = f"{tools}:/usr/bin:/bin"
    subprocess.run(
        ["/bin/sh", str(script)], env={"PATH": path, "BOOTSTRAP": "b:1", "ADMIN": "a", **settings}, check=True
    )


def test_the_scripts_call_kafkas_tools_with_what_is_applied(file: Path, tmp_path: Path) -> None:
    """Run by a shell, beside programs that note their arguments: every right of every account and no other; and every
    user with the password of its file, which is on no command line and nowhere afterwards.
    """
    accounts, to, tools, noted = _accounts(file), tmp_path / "access", tmp_path / "tools", tmp_path / "noted"
    assert run("access", file, "--to", to, "--json").code == 0
    _program(tools, "kafka-acls.sh", f'echo "allow x $*" >>{noted}')
    _run_script(to / "kafka-acls.sh", tools)
    calls = [line.split() for line in noted.read_text().splitlines()]
    for call in calls:
        assert call[2:7] == ["--bootstrap-server", "b:1", "--command-config", "a", "--add"]
        assert call[7] == "--allow-principal"
    lines = [shlex.join(["allow", call[8].removeprefix("User:"), *call[9:]]) for call in calls]
    assert _parsed("\n".join(lines)) == {account.user: set(account.kafka) for account in accounts}
    noted.unlink()
    _program(tools, "kafka-configs.sh", f'for last; do :; done; echo "$*" >>{noted}; cat "$last" >>{noted}')
    _run_script(to / "kafka-users.sh", tools, SECRETS=str(to / "secrets"))
    passwords = {account.user: (to / "secrets" / account.user).read_text().strip() for account in accounts}
    lines = noted.read_text().splitlines()
    assert [line.split()[8] for line in lines[::2]] == list(passwords)
    assert lines[1::2] == [f"SCRAM-SHA-512=[iterations=8192,password={password}]" for password in passwords.values()]
    assert not [line for line in lines[::2] for password in passwords.values() if password in line]
    assert {path.name for path in (to / "secrets").iterdir()} == set(passwords)
    # Nor if Kafka's tool fails.
    _program(tools, "kafka-configs.sh", "exit 1")
    with pytest.raises(subprocess.CalledProcessError):
        _run_script(to / "kafka-users.sh", tools, SECRETS=str(to / "secrets"))
    assert {path.name for path in (to / "secrets").iterdir()} == set(passwords)


def test_redis_loads_the_file_and_lets_nobody_else_in(file: Path, tmp_path: Path) -> None:
    """A real server that has it as its ``aclfile`` knows each user by its password and rights, and no ``default``."""
    to = tmp_path / "access"
    assert run("access", file, "--to", to, "--json").code == 0
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    assert program is not None
    (port,) = choose_ports(1)
    settings = ["--port", str(port), "--aclfile", str(to / "redis-users.acl"), "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen([program, *settings], stdout=subprocess.DEVNULL)
    try:
        nobody = Redis(port=port, retry=Retry(ConstantBackoff(0.1), 100), retry_on_error=[RedisConnectionError])
        with nobody, pytest.raises(AuthenticationError):
            nobody.get("riverrun:{shop:x")
        for account in _accounts(file):
            if not account.redis:
                continue
            password = (to / "secrets" / account.user).read_text().strip()
            with Redis(port=port, username=account.user, password=password) as client:
                assert client.hget("riverrun:{shop:x", "e") is None if "+hget" in account.redis else True
                with pytest.raises(NoPermissionError):
                    client.hget("another:x", "e")
                with pytest.raises(NoPermissionError):
                    client.flushall()
    finally:
        server.terminate()
        server.wait(20)


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
