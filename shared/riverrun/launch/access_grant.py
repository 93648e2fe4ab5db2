"""Makes a pipeline's users on Kafka and Redis, with exactly the rights that they need."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, cast

import redis
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclBinding, AclBindingFilter, AclOperation, AclPermissionType
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.admin._scram import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from riverrun.adapters.kafka_connection import ClientLog
from riverrun.adapters.kafka_errors import unavailable
from riverrun.adapters.kafka_properties import KafkaProperties
from riverrun.embedded.addresses import Addresses
from riverrun.embedded.private_file import write_private_file
from riverrun.errors import AccessDeniedError, SettingsError, UnavailableError
from riverrun.launch.access_files import redis_line
from riverrun.launch.rights import Account, Operation, Resource, Right

__all__ = ["binding_of", "grant", "keep_passwords"]

_TIMEOUT_S: Final = 30.0
_ITERATIONS: Final = 8_192
_EVERYWHERE: Final = "*"
# Its stub knows texts only.
_ANY: Final = cast("str", None)
_RESOURCES: Final = {
    Resource.TOPIC: ResourceType.TOPIC,
    Resource.GROUP: ResourceType.GROUP,
    Resource.TRANSACTIONAL_ID: ResourceType.TRANSACTIONAL_ID,
}
_OPERATIONS: Final = {
    Operation.READ: AclOperation.READ,
    Operation.WRITE: AclOperation.WRITE,
    Operation.DESCRIBE: AclOperation.DESCRIBE,
    Operation.CREATE: AclOperation.CREATE,
}


def keep_passwords(folder: Path, accounts: Sequence[Account]) -> dict[str, str]:
    """Return each user's password, from the file of the user's name; one that is missing is made up and written.

    Raises
    ------
    SettingsError
        If a file cannot be read or written.
    """
    found: dict[str, str] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for account in accounts:
            file = folder / account.user
            if not file.exists():
                write_private_file(file, secrets.token_urlsafe(32) + "\n")
            found[account.user] = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the passwords in {folder} cannot be kept: {type(error).__name__}") from None
    return found


def grant(accounts: Sequence[Account], addresses: Addresses, passwords: Mapping[str, str]) -> None:
    """Make the users and give them their rights; rights that they had beside these are taken away.

    Parameters
    ----------
    accounts
        Of one pipeline.
    addresses
        The servers, with an administrator's credentials.
    passwords
        By user.

    Raises
    ------
    AccessDeniedError
        If the user that this is done with may not do it.
    UnavailableError
        If a server does not answer, or refuses: Kafka does when it has no authorizer.
    """
    admin = AdminClient({}, **KafkaProperties(dict(addresses.kafka)).admin(), logger=ClientLog())
    upserts: list[UserScramCredentialAlteration] = [
        _upsert(account.user, passwords[account.user]) for account in accounts
    ]
    _await("cannot make users on Kafka", admin.alter_user_scram_credentials(upserts).values())
    wanted = {binding_of(account.user, right) for account in accounts for right in account.kafka}
    present = {binding for account in accounts for binding in _present(admin, account.user)}
    missing, extra = wanted - present, present - wanted
    if missing:
        _await("cannot give rights on Kafka", admin.create_acls(list(missing)).values())
    if extra:
        _await("cannot take rights away on Kafka", admin.delete_acls(list(map(_filter_of, extra))).values())
    _grant_on_redis(accounts, addresses.redis_url, passwords)


def binding_of(user: str, right: Right) -> AclBinding:
    """Return a right as Kafka's client has it."""
    pattern = ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL
    return AclBinding(
        _RESOURCES[right.resource],
        right.name,
        pattern,
        f"User:{user}",
        _EVERYWHERE,
        _OPERATIONS[right.operation],
        AclPermissionType.ALLOW,
    )


def _upsert(user: str, password: str) -> UserScramCredentialUpsertion:
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
    return UserScramCredentialUpsertion(user, info, password.encode())


def _present(admin: AdminClient, user: str) -> list[AclBinding]:
    everything = AclBindingFilter(
        ResourceType.ANY,
        _ANY,
        ResourcePatternType.ANY,
        f"User:{user}",
        _ANY,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    found: list[AclBinding] = _await("cannot look up rights on Kafka", [admin.describe_acls(everything)])[0]
    return found


def _filter_of(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


def _await(what: str, futures: Iterable[Future[Any]]) -> list[Any]:
    try:
        return [future.result(_TIMEOUT_S) for future in futures]
    except (KafkaException, TimeoutError) as error:
        raise unavailable(what, error) from error


def _grant_on_redis(accounts: Sequence[Account], url: str, passwords: Mapping[str, str]) -> None:
    try:
        with redis.Redis.from_url(url) as client:
            for account in accounts:
                if account.redis:
                    client.execute_command("ACL", "SETUSER", *redis_line(account, passwords).split())
    except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as error:
        raise AccessDeniedError(
            f"Redis does not permit this user to make others: {type(error).__name__}",
            hint="name an administrator in RIVERRUN_REDIS",
        ) from error
    except redis.RedisError as error:
        raise UnavailableError(f"cannot make users on Redis: {type(error).__name__}", hint="is it up?") from error
