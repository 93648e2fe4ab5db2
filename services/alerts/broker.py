"""From librdkafka's properties, which the rest of riverrun is configured with, to Faust's settings."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

import faust

from riverrun.errors import SettingsError

__all__ = ["broker_settings"]


def broker_settings(properties: Mapping[str, str]) -> dict[str, Any]:
    """Return Faust's settings for the brokers and for how to prove who is calling.

    Parameters
    ----------
    properties
        librdkafka's: brokers, security protocol, SASL with a password, certificates.

    Raises
    ------
    SettingsError
        If they ask for what Faust cannot do.
    """
    hosts = [each.strip() for each in properties["bootstrap.servers"].split(",")]
    settings: dict[str, Any] = {"broker": [f"aiokafka://{host}" for host in hosts]}
    protocol = properties.get("security.protocol", "PLAINTEXT").upper()
    context = _context(properties) if protocol.endswith("SSL") else None
    if protocol.startswith("SASL"):
        mechanism = properties.get("sasl.mechanism", properties.get("sasl.mechanisms", ""))
        if not mechanism.upper().startswith(("PLAIN", "SCRAM")):
            raise SettingsError(f"the alerts service cannot log in by {mechanism}", hint="use SCRAM or PLAIN")
        settings["broker_credentials"] = faust.SASLCredentials(
            username=properties["sasl.username"],
            password=properties["sasl.password"],
            mechanism=mechanism.upper(),
            ssl_context=context,
        )
    elif context is not None:
        settings["broker_credentials"] = faust.SSLCredentials(context)
    return settings


def _context(properties: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=properties.get("ssl.ca.location"))
    certificate = properties.get("ssl.certificate.location")
    if certificate:
        context.load_cert_chain(certificate, properties.get("ssl.key.location"), properties.get("ssl.key.password"))
    if properties.get("ssl.endpoint.identification.algorithm", "https") == "none":
        context.check_hostname = False
    return context
