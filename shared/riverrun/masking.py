"""Texts fit for a log: URLs without their secrets, and what others say of them."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["MASK", "mask_said", "mask_url"]

MASK: Final = "***"

_URL_AUTHORITY: Final = re.compile(r"^(?P<scheme>[^/]*://)(?P<user_info>.*)@", re.DOTALL)
_URL_QUERY_SECRET: Final = re.compile(r"(?P<name>[?&][^=&]*(?:password|secret|token)[^=&]*=)[^&]*", re.IGNORECASE)


def mask_url(url: str) -> str:
    """Return a URL with its user information and secret query parameters replaced.

    Works on malformed URLs too, since those are what error messages quote: everything between ``://`` and the
    last ``@`` goes, even where a password holds characters that should have been percent-encoded.

    Parameters
    ----------
    url : str
        Any URL.

    Returns
    -------
    str
        The URL, fit for a log.

    Examples
    --------
    >>> mask_url("rediss://default:tea@cache:6380/0?ssl_ca_certs=ca.pem")
    'rediss://***@cache:6380/0?ssl_ca_certs=ca.pem'
    """
    masked = _URL_AUTHORITY.sub(rf"\g<scheme>{MASK}@", url)
    return _URL_QUERY_SECRET.sub(rf"\g<name>{MASK}", masked)


def mask_said(text: str, url: str) -> str:
    """Return what somebody says who was given a URL, less the URL's user information, whole or in parts.

    Parameters
    ----------
    text : str
        What is said, such as a library's error.
    url : str
        The URL, malformed or not.

    Returns
    -------
    str
        The text, fit for a log.

    Examples
    --------
    >>> mask_said("530 tea is not the password", "ftp://default:tea@files/models")
    '530 *** is not the password'
    """
    found = _URL_AUTHORITY.match(url)
    user_info = found["user_info"] if found is not None else ""
    for part in sorted({user_info, *user_info.split(":")}, key=len, reverse=True):
        text = text.replace(part, MASK) if part else text
    return text
