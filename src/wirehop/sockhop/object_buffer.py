"""Objects to bytes and back, without a socket (seed: ``ObjectBuffer``)."""

from __future__ import annotations

import logging
from typing import Any

from wirehop.core.events import EventEmitter
from wirehop.errors import SockhopError
from wirehop.sockhop.wire import envelope
from wirehop.sockhop.wire.lines import MAX_LINE, Ending, Lines, Terminator, terminators, too_long
from wirehop.sockhop.wire.types import Types

__all__ = ["ObjectBuffer"]


class ObjectBuffer(EventEmitter):
    """Makes lines of JSON of objects, and objects of the lines in a stream of bytes.

    ``terminator`` ends a line: one text, or a pair, to receive and to transmit. With
    ``allow_non_objects`` a line that is no JSON is given as text, and scalars may be sent. Event:
    ``error(exception)``, a ``SockhopError`` for a line that is no JSON, and once ``PayloadTooLarge``
    for one of more than ``max_line`` bytes; nothing is given after that.
    """

    _log = logging.getLogger("wirehop.sockhop")

    def __init__(
        self,
        *,
        terminator: Terminator = "\n",
        allow_non_objects: bool = False,
        max_line: int = MAX_LINE,
    ) -> None:
        receive, transmit = terminators(terminator)
        self._lines = Lines(receive, max_line)
        self._ending = Ending(transmit)
        self._max_line = max_line
        self._allow_non_objects = allow_non_objects
        self._types = Types()

    def buf2obj(self, buffer: object) -> list[Any]:
        """The objects whose lines end in ``buffer``, which may begin or end in the middle of one.
        What cannot be read is left out, and told by the ``error`` event."""
        if not isinstance(buffer, (bytes, bytearray, memoryview)):
            self._complain(
                SockhopError("buf2obj called with non buffer object", "ERR_OBJECTBUFFER_BAD_BUFFER")
            )
            return []
        was_too_long = self._lines.is_too_long
        objects = []
        for line in self._lines.feed(bytes(buffer)):
            try:
                objects.append(envelope.parse(line, self._allow_non_objects))
            except SockhopError as error:
                self._complain(error)
        if self._lines.is_too_long and not was_too_long:
            self._complain(too_long(self._max_line))
        return objects

    def obj2buf(self, object: Any) -> bytes:
        """The line of an object. Raises ``SockhopError`` with ERR_OBJECTBUFFER_BAD_OBJECT for what
        JSON cannot say, and for scalars unless they are allowed."""
        return self._ending.end(envelope.bare(self._types.text(object), self._allow_non_objects))

    def _complain(self, error: Exception) -> None:
        if not self.emit("error", error):
            self._log.info("%s", error)
