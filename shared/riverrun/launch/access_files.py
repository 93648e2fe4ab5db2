"""The rights of a pipeline's accounts as files that Kafka's and Redis's own tools read. No file holds a password."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import groupby
from typing import Final

from riverrun.launch.rights import Account, Right

__all__ = ["access_files", "redis_line"]

_NOBODY_ELSE: Final = "user default off\n"
"""Redis lets whoever gives no name in as ``default``, who may do everything, unless the file says otherwise. It has no
comments: that an administrator's own line is to be added, the page on security says.
"""
_UNKNOWN: Final = "<sha256-of-the-password>"

_KAFKA_USERS: Final = """\
#!/bin/sh
# Users of the pipeline {pipeline} on Kafka, by SCRAM; each password is in a file of the user's name.
# BOOTSTRAP=host:port ADMIN=admin.properties SECRETS=folder sh kafka-users.sh
set -eu
umask 077
trap 'rm -f "$SECRETS/.config"' EXIT
user() {{
    # By a file: a command line is public.
    printf 'SCRAM-SHA-512=[iterations=8192,password=%s]\\n' "$(cat "$SECRETS/$1")" >"$SECRETS/.config"
    kafka-configs.sh --bootstrap-server "$BOOTSTRAP" --command-config "$ADMIN" \\
        --alter --entity-type users --entity-name "$1" --add-config-file "$SECRETS/.config"
    rm "$SECRETS/.config"
}}
"""

_KAFKA_ACLS: Final = """\
#!/bin/sh
# Rights of the pipeline {pipeline} on Kafka, whose brokers need an authorizer that denies by default.
# BOOTSTRAP=host:port ADMIN=admin.properties sh kafka-acls.sh
set -eu
allow() {{
    principal=$1
    shift
    kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config "$ADMIN" \\
        --add --allow-principal "User:$principal" "$@"
}}
"""

_SETTINGS: Final = """\
# Settings of {service}: put in your addresses, your authority's certificate and the folder of the passwords.
RIVERRUN_KAFKA=kafka+sasl_ssl://{user}@kafka:9093?mechanism=SCRAM-SHA-512&ca=/run/secrets/ca.pem
RIVERRUN_KAFKA_PASSWORD_FILE=/run/secrets/{user}
"""

_REDIS_SETTINGS: Final = """\
RIVERRUN_REDIS=rediss://{user}@redis:6379/0?ssl_ca_certs=/run/secrets/ca.pem
RIVERRUN_REDIS_PASSWORD_FILE=/run/secrets/{user}
"""

_NO_REDIS: Final = """\
# It never calls Redis: this only keeps it from starting one of its own.
RIVERRUN_REDIS=rediss://redis:6379/0
"""


def access_files(pipeline: str, accounts: Sequence[Account], secrets: Mapping[str, str]) -> dict[str, str]:
    """Return the files' contents by their names.

    Parameters
    ----------
    pipeline
        The pipeline's name.
    accounts
        Its accounts.
    secrets
        Passwords by user, as far as there are any: Redis's file holds their hashes.
    """
    files = {
        "kafka-users.sh": _KAFKA_USERS.format(pipeline=pipeline) + "".join(_users(accounts)),
        "kafka-acls.sh": _KAFKA_ACLS.format(pipeline=pipeline) + "".join(_acls(accounts)),
        "redis-users.acl": "".join((_NOBODY_ELSE, *_redis_users(accounts, secrets))),
    }
    for account in accounts:
        names = {"service": account.service, "user": account.user}
        redis = _REDIS_SETTINGS if account.redis else _NO_REDIS
        files[f"{account.service}.env"] = (_SETTINGS + redis).format(**names)
    return files


def redis_line(account: Account, secrets: Mapping[str, str]) -> str:
    """Return an account's user and rules, as an ACL file has them behind the word ``user``."""
    password = secrets.get(account.user)
    digest = _UNKNOWN if password is None else sha256(password.encode()).hexdigest()
    # What a user had before goes first; commands that are not named stay forbidden.
    return " ".join((account.user, "reset", "on", f"#{digest}", *account.redis))


def _redis_users(accounts: Sequence[Account], secrets: Mapping[str, str]) -> Iterator[str]:
    for account in accounts:
        if account.redis:
            yield f"user {redis_line(account, secrets)}\n"


def _users(accounts: Sequence[Account]) -> Iterator[str]:
    for account in accounts:
        yield f"user {shlex.quote(account.user)}\n"


def _acls(accounts: Sequence[Account]) -> Iterator[str]:
    for account in accounts:
        yield f"\n# {account.service}\n"
        for (resource, operation, prefixed), rights in groupby(sorted(account.kafka, key=_kind), _kind):
            pattern = " --resource-pattern-type prefixed" if prefixed else ""
            names = "".join(f" --{resource} {shlex.quote(right.name)}" for right in rights)
            yield f"allow {shlex.quote(account.user)} --operation {operation}{pattern}{names}\n"


def _kind(right: Right) -> tuple[str, str, bool]:
    return right.resource, right.operation, right.prefixed
