"""The end of a connection whose remote broke a rule, and may be sending yet."""

from __future__ import annotations

from typing import Any

from wirehop.core.output import Output

__all__ = ["LingeringOutput"]


class LingeringOutput(Output):
    """picows closes ten milliseconds after it found a broken rule. A remote that is sending yet would be
    answered with a reset then, which may overtake our Close: instead it has until the close timeout."""

    __slots__ = ("lingers",)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.lingers = False
        """Whether a broken rule was found: what still comes is dropped."""

    def close(self) -> None:
        # TLS has no half of a connection.
        if not (self.lingers and self.transport.can_write_eof()):
            super().close()
        elif not self.is_closing():
            self.write_eof()
