"""End-to-end encryption as npm anysocket has it: the exchange of keys, and packets under them.

Both sides make a key pair on P-521 (ECDH) and a nonce and tell the other in a SWITCH packet. All
strings below are ASCII, PBKDF2 is PBKDF2-HMAC-SHA256 with one iteration and 32 bytes.

==============  ===========================================================================
secret          the shared X coordinate in hex, its first 128 digits
session nonce   PBKDF2(the leader's nonce + the other's, salt ``<leader's id>_0``) in hex
key of a packet PBKDF2(secret, salt ``<session nonce>_<number without its sign>``)
payload         a random IV and the AES-256-CBC ciphertext (PKCS#7 padding), in hex
==============  ===========================================================================

The leader is the side that began. Nothing authenticates the payload, nor the keys: that is what
the wire has (``peer.security`` says "legacy"), and ``peer.fingerprint`` is there to compare.

A side that began and gets a SWITCH cannot tell, by the wire, an answer from an offer that crossed
its own. Between two of ours the nonces tell: of their 32 bytes the last 16 are a digest that only
looks random, and says which of the two the SWITCH is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC

from wirehop.errors import ProtocolError

__all__ = ["Keys", "Offer", "Random", "Session", "agree", "answer", "fingerprint", "undecipherable"]

Random = Callable[[int], bytes]
"""Where random bytes come from."""

INVALID = "Invalid Packet!"

E2EE = 2
"""The ``type`` member of a SWITCH packet."""

CURVE = ec.SECP521R1()

ORDER = int(
    "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa"
    "51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
    16,
)
"""Of the group of P-521 (SEC 2, 2.6.1): private keys are 1 to one less than this."""

POINT = 133
"""Bytes of an uncompressed point on P-521."""

SECRET = 128
"""Hex digits of the shared secret that are used: JavaScript cuts off the last four."""

BLOCK = 16
"""Bytes of an AES block, and of an IV."""

IVS = 64
"""IVs that come of one piece of randomness: a system call for each would cost as much as the key
of its packet."""

_ZERO = CBC(bytes(BLOCK))

_PADDING = tuple(bytes([count]) * count for count in range(BLOCK + 1))

_NONCE_DIGITS = frozenset("0123456789abcdef")


class Offer:
    """What a side says of its keys: the point (bytes) and the nonce (64 hex digits)."""

    __slots__ = ("nonce", "point")

    def __init__(self, point: bytes, nonce: str) -> None:
        self.point = point
        self.nonce = nonce

    @classmethod
    def parse(cls, value: Any) -> Offer:
        """The offer in a SWITCH packet. Raises ``ProtocolError`` for anything but a nonce and a
        point in base64; whether that is on the curve is seen when it is used."""
        key, nonce = (value.get("key"), value.get("nonce")) if isinstance(value, dict) else (None, None)
        if not isinstance(nonce, str) or len(nonce) != 64 or not _NONCE_DIGITS.issuperset(nonce):
            raise _bad_key("no nonce of 64 hex digits")
        try:
            point = base64.b64decode(key if isinstance(key, str) else "", validate=True)
        except ValueError:
            raise _bad_key("not base64") from None
        if len(point) != POINT or point[0] != 4:
            raise _bad_key("no uncompressed point of P-521")
        return cls(point, nonce)

    def is_first(self) -> bool:
        """Whether one of ours began with it."""
        return self._is_marked(b"")

    def answers(self, other: Offer) -> bool:
        """Whether one of ours answered ``other`` with it."""
        return self._is_marked(other.nonce.encode())

    def _is_marked(self, said_before: bytes) -> bool:
        nonce = bytes.fromhex(self.nonce)
        return nonce[16:] == _mark(nonce[:16], self.point, said_before)


class Keys(Offer):
    """Our side of an exchange."""

    __slots__ = ("private",)

    def __init__(self, private: int, nonce: str) -> None:
        self.private = ec.derive_private_key(private, CURVE)
        numbers = self.private.public_key().public_numbers()
        point = b"\x04" + numbers.x.to_bytes(66, "big") + numbers.y.to_bytes(66, "big")
        super().__init__(point, nonce)

    @classmethod
    def make(cls, random: Random, other: Offer | None = None) -> Keys:
        """New keys, to begin with or to answer ``other`` with."""
        # 64 bits more than the order has: the remainder is as good as uniform (FIPS 186-5, A.2.1).
        keys = cls(int.from_bytes(random(74), "big") % (ORDER - 1) + 1, "")
        nonce = random(16)
        said_before = b"" if other is None else other.nonce.encode()
        keys.nonce = (nonce + _mark(nonce, keys.point, said_before)).hex()
        return keys

    def message(self) -> dict[str, Any]:
        """The value of our SWITCH packet."""
        return {"type": E2EE, "key": base64.b64encode(self.point).decode("ascii"), "nonce": self.nonce}

    def secret(self, other: Offer) -> bytes:
        """What both sides know then, as the wire uses it: 128 hex digits.

        Raises ``ProtocolError`` for a point that is not on the curve.
        """
        try:
            theirs = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, other.point)
        except ValueError:
            raise _bad_key("a point that is not on P-521") from None
        return self.private.exchange(ec.ECDH(), theirs).hex()[:SECRET].encode()


class Session:
    """What is encrypted and decrypted under one secret.

    The cipher's own IV is zero, so that one object serves a packet and its reply. A random block is
    encrypted before the text: what becomes of it is the IV on the wire, as random as it was, and the
    rest is what CBC makes of the text with that IV (RFC 4346, 6.2.3.2, (2)(a)). Decrypting gives
    that block, which nobody needs, and the text.
    """

    __slots__ = ("_blocks", "_cipher", "_inner", "_number", "_outer", "_random", "_used")

    def __init__(self, secret: bytes, nonces: str, leader_id: str, random: Random) -> None:
        """``secret`` has more than 64 bytes; ``nonces`` is the leader's nonce and then the other's."""
        salt = hashlib.pbkdf2_hmac("sha256", nonces.encode(), f"{leader_id}_0".encode(), 1, 32).hex()
        # One iteration of PBKDF2 for 32 bytes is one HMAC, whose key is hashed first if it is longer
        # than a block (RFC 8018, 5.2; RFC 2104): what all packets share is hashed once.
        key = hashlib.sha256(secret).digest().ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + f"{salt}_".encode())
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))
        self._random = random
        self._blocks = b""
        self._used = 0
        # Of the last packet: mostly the next one is its reply, with the same number.
        self._number = 0
        self._cipher: Cipher[CBC]

    def key(self, number: int) -> bytes:
        """The key of the packets with this number, in both directions."""
        inner = self._inner.copy()
        inner.update(b"%d\0\0\0\1" % number)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()

    def seal(self, number: int, text: bytes) -> bytes:
        """A chunk of JSON text as a payload of the packet with this number (not 0)."""
        if number != self._number:
            self._take_key(number)
        used = self._used
        if used >= len(self._blocks):
            self._blocks = self._random(BLOCK * IVS)
            used = 0
        self._used = used + BLOCK
        padded = b"".join((self._blocks[used : used + BLOCK], text, _PADDING[BLOCK - len(text) % BLOCK]))
        return binascii.hexlify(self._cipher.encryptor().update(padded))

    def open(self, number: int, payload: str) -> str:
        """The chunk of JSON text in a payload of the packet with this number (not 0).

        Raises ``ProtocolError``, the same whatever is wrong with it.
        """
        try:
            data = binascii.unhexlify(payload)
            if len(data) < 2 * BLOCK or len(data) % BLOCK:
                raise ValueError
            if number != self._number:
                self._take_key(number)
            padded = self._cipher.decryptor().update(data)
            count = padded[-1]
            if not 0 < count <= BLOCK or not padded.endswith(_PADDING[count]):
                raise ValueError
            return padded[BLOCK:-count].decode()
        except ValueError:
            raise undecipherable() from None

    def _take_key(self, number: int) -> None:
        self._cipher = Cipher(AES256(self.key(number)), _ZERO)
        self._number = number


def answer(ours: Keys, theirs: Offer, remote_id: str, random: Random) -> Session:
    """What a side has that answers the other's SWITCH with ``ours``."""
    return Session(ours.secret(theirs), theirs.nonce + ours.nonce, remote_id, random)


def agree(
    ours: Keys, theirs: Offer, id: str, remote_id: str, random: Random
) -> tuple[Session, Session | None]:
    """What a side that began has under the other's SWITCH: the session, and another one that it
    may be instead, which the first encrypted packet shows.

    Two of ours that both began know it, and the one with the lower id leads. JavaScript that
    began too takes our offer for the answer to its own: then it leads.
    """
    secret = ours.secret(theirs)
    led_by_us = Session(secret, ours.nonce + theirs.nonce, id, random)
    if theirs.answers(ours):
        return led_by_us, None
    led_by_them = Session(secret, theirs.nonce + ours.nonce, remote_id, random)
    if theirs.is_first():
        return (led_by_us if id < remote_id else led_by_them), None
    return led_by_us, led_by_them


def fingerprint(ours: Offer, theirs: Offer) -> str:
    """32 hex digits of a digest of both public keys, the same on both sides."""
    return hashlib.sha256(b"".join(sorted((ours.point, theirs.point)))).hexdigest()[:32]


def undecipherable() -> ProtocolError:
    """The one shape of failure, so that it tells nothing of the reason."""
    return ProtocolError(INVALID, detail="a payload that cannot be decrypted")


def _bad_key(detail: str) -> ProtocolError:
    return ProtocolError(INVALID, detail=detail)


def _mark(nonce: bytes, point: bytes, said_before: bytes) -> bytes:
    return hashlib.sha256(b"wirehop" + nonce + point + said_before).digest()[:16]
