"""Bytes as text: standard base64 with padding (seed: ``AnySocket.Packer``)."""

from __future__ import annotations

import base64
import binascii

__all__ = ["Packer"]


class Packer:
    """How binary travels in JSON. Used for you with the arguments and results of RPC."""

    @staticmethod
    def pack(data: bytes | bytearray | memoryview) -> str:
        """``data`` as base64 text. Raises ``TypeError`` for anything but bytes."""
        return base64.b64encode(data).decode("ascii")

    @staticmethod
    def unpack(text: str) -> bytes:
        """The bytes of a base64 text; missing padding is forgiven.

        Raises ``ValueError`` for text that is not base64.
        """
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except binascii.Error as error:
            raise ValueError(f"not base64: {error}") from None
