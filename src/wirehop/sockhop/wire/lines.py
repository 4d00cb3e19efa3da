"""Lines that end in a terminator (wire document, section 2)."""

from __future__ import annotations

from typing import Any

from wirehop.errors import PayloadTooLarge, SockhopError

__all__ = ["MAX_LINE", "Ending", "Lines", "Terminator", "terminators", "too_long"]

MAX_LINE = 16 << 20
"""Bytes of one message: as much as storey 3 takes, and four times what a busy process should be
kept from its other connections for, to parse it."""

Terminator = str | tuple[str, str] | list[str] | None


def terminators(terminator: Terminator) -> tuple[bytes, bytes]:
    """What ends a line that is received, and one that is sent: one text for both, or a pair. None
    is a newline, as in the seed.

    Raises ``ValueError`` for an empty one, which every byte would end, and ``TypeError`` for what
    is neither text nor a pair of texts.
    """
    if terminator is None:
        terminator = "\n"
    pair: Any = (terminator, terminator) if isinstance(terminator, str) else terminator
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(isinstance(one, str) for one in pair):
        raise TypeError(
            f"a terminator is text, or a pair of texts (to receive, to transmit), not {terminator!r}"
        )
    if "" in pair:
        raise ValueError("a terminator must not be empty")
    return pair[0].encode(), pair[1].encode()


def too_long(max_line: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"a message is longer than {max_line} bytes")


class Ending:
    """Ends the lines that are sent."""

    __slots__ = ("_terminator", "plain")

    def __init__(self, terminator: bytes) -> None:
        self._terminator = terminator
        # JSON has no control characters, but for those in strings, which are escaped.
        self.plain = terminator if any(byte < 0x20 for byte in terminator) else None
        """The terminator, if it can be in no text: then all there is to do is to append it."""

    def end(self, text: bytes) -> bytes:
        """``text`` and the terminator.

        Raises ``SockhopError`` with ERR_OBJECTBUFFER_BAD_OBJECT where the text would end too soon
        at the other side, because the terminator is in it.
        """
        line = text + self._terminator
        if self.plain is None and line.find(self._terminator) < len(text):
            raise SockhopError("the terminator occurs in a message", "ERR_OBJECTBUFFER_BAD_OBJECT")
        return line


class Lines:
    """Cuts a stream of bytes into lines, without their terminators. No byte is looked at twice,
    but for those at the end of a read that may be the beginning of a terminator."""

    __slots__ = ("_held", "_max", "_terminator", "is_too_long")

    def __init__(self, terminator: bytes, max_line: int = MAX_LINE) -> None:
        self._terminator = terminator
        self._max = max_line
        self._held = bytearray()
        """The beginning of a line; there is no terminator in it."""
        self.is_too_long = False
        """Whether a line had more than ``max_line`` bytes: neither it nor what follows is given."""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that ``data`` ends, also those before one that is too long."""
        if self.is_too_long:
            return []
        terminator = self._terminator
        held = self._held
        if not held:
            lines = data.split(terminator)
            longest = len(data)
        else:
            size = len(terminator)
            if size > 1:
                # The terminator may have begun before.
                start = max(0, len(held) - size + 1)
                data = bytes(held[start:]) + data
                del held[start:]
            end = data.find(terminator)
            if end < 0:
                self._hold(data)
                return []
            held += data[:end]
            longest = len(held) + len(data)
            self._held = bytearray()
            lines = [bytes(held), *data[end + size :].split(terminator)]
        rest = lines.pop()
        if longest > self._max:
            for at, line in enumerate(lines):
                if len(line) > self._max:
                    self.is_too_long = True
                    return lines[:at]
        if rest:
            self._hold(rest)
        return lines

    def _hold(self, rest: bytes) -> None:
        self._held += rest
        if len(self._held) > self._max + len(self._terminator) - 1:
            self.is_too_long = True
            self._held = bytearray()
