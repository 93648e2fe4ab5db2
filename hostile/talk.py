"""Talks to a port on this machine in bytes, as no client would."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Final

__all__ = ["CLOSED", "ask", "say", "status_of"]

CLOSED: Final = "closed without an answer"
HANGS: Final = "no answer"

_HOST: Final = "127.0.0.1"
_ANSWER_S: Final = 20.0
_INCOMPLETE_S: Final = 0.5
_CHUNK: Final = 65_536
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_HEAD_END: Final = b"\r\n\r\n"


def say(port: int, sent: bytes, *, ends: bool = False, whole: bool = False) -> str:
    """Send bytes; return the answer, ``CLOSED`` if the connection was closed without one, or ``HANGS``.

    A request that is cut short gets no answer while more of it could come. So if there is none for a while, the server
    is told that nothing will come any more.

    Parameters
    ----------
    port
        Of whom.
    sent
        What to say.
    ends
        Whether to tell at once that nothing more will come.
    whole
        Whether the body of the answer is wanted too: the server must then hang up behind it.
    """
    received = b""
    try:
        with socket.create_connection((_HOST, port), _ANSWER_S) as line:
            # It may be refused before it was all sent: the answer is there all the same.
            with suppress(OSError):
                line.sendall(sent)
            part = _first(line, ends=ends)
            while part:
                received = (received + part).removeprefix(_CONTINUE)
                # It may have no end, so that mostly the head must do.
                part = b"" if _HEAD_END in received and not whole else line.recv(_CHUNK)
    except TimeoutError:
        return received.decode("latin-1") or HANGS
    except OSError:
        # It was reset, with what was not read of the request: what came before that counts.
        return received.decode("latin-1") or CLOSED
    return received.decode("latin-1") or CLOSED


def _first(line: socket.socket, *, ends: bool) -> bytes:
    """Return what is answered first, nothing if it is the end; if nothing comes, say that no more will be sent."""
    if not ends:
        line.settimeout(_INCOMPLETE_S)
        try:
            return line.recv(_CHUNK)
        except TimeoutError:
            pass
        finally:
            line.settimeout(_ANSWER_S)
    with suppress(OSError):
        line.shutdown(socket.SHUT_WR)
    return line.recv(_CHUNK)


def ask(port: int, method: str, path: str, key: str = "", body: bytes = b"") -> str:
    """Send a good request; return the whole answer."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {_HOST}", "Connection: close"]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return say(port, "\r\n".join([*lines, "", ""]).encode("ascii") + body, whole=True)


def status_of(answer: str) -> int:
    """Return an answer's status, 0 for none."""
    words = answer.split(" ", 2)
    return int(words[1]) if len(words) > 1 and words[0].startswith("HTTP/1") and words[1].isdecimal() else 0
