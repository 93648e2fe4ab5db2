"""Redis's replies (RESP 2), taken from a stream of bytes as they arrive: those that look-ups get, and no others."""

from __future__ import annotations

from typing import Final

from riverrun.errors import UnavailableError

__all__ = ["Replies", "Reply"]

Reply = bytes | None | UnavailableError
"""A value, its absence, or an error reply, which concerns one command alone."""

_LONGEST_LINE: Final = 4_096
_LONGEST_VALUE: Final = 64 * 1024 * 1024


class Replies:
    r"""Takes bytes in, gives whole replies out; what is left over waits for more.

    Examples
    --------
    >>> replies = Replies()
    >>> replies.feed(b"$3\r\nab")
    []
    >>> replies.feed(b"c\r\n$-1\r\n+OK\r\n")
    [b'abc', None, b'OK']
    """

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Reply]:
        """Return the replies that these bytes complete.

        Raises
        ------
        UnavailableError
            If they are nothing that a Redis sends to a look-up: the connection is of no further use.
        """
        data = self._rest + data if self._rest else data
        found: list[Reply] = []
        at = 0
        while True:
            line_end = data.find(b"\r\n", at)
            if line_end < 0:
                if len(data) - at > _LONGEST_LINE:
                    raise _strange(data[at : at + 20])
                break
            kind, line = data[at : at + 1], data[at + 1 : line_end]
            end = line_end + 2
            if kind == b"$":
                length = _length(line)
                if length >= 0:
                    end += length + 2
                    if end > len(data):
                        break
                    found.append(data[line_end + 2 : end - 2])
                else:
                    found.append(None)
            elif kind == b"-":
                found.append(UnavailableError(f"Redis refused: {line[:200].decode('utf-8', 'replace')}"))
            elif kind in (b"+", b":"):
                found.append(line)
            else:
                raise _strange(data[at : at + 20])
            at = end
        self._rest = data[at:]
        return found


def _length(line: bytes) -> int:
    try:
        length = int(line)
    except ValueError:
        raise _strange(line) from None
    if length > _LONGEST_VALUE:
        raise _strange(line)
    return length


def _strange(found: bytes) -> UnavailableError:
    return UnavailableError(f"Redis sent what is no reply: {found[:20]!r}", hint="is it a Redis that listens there?")
