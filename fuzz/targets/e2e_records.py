"""End-to-end encryption: whatever a payload is, it is its text or one and the same error; what is
sealed can be opened, here and by the description; an offer of keys is one or refused."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC

from fuzz import seeds as recorded
from fuzz.choices import Choices
from wirehop.anysocket.wire import e2e
from wirehop.core import json
from wirehop.errors import ProtocolError

__all__ = ["MAX_SIZE", "TOKENS", "fuzz_one", "seeds"]

MAX_SIZE = 512

TOKENS = (
    b'{"type":2,"key":"', b'","nonce":"', b'"}', b"BAHL", b"=", b"==", b"00", b"ff", b"0" * 32, b"f" * 64,
    b"\x04", b"\x10" * 16, b"\x01", b"null", b'"key":', b'"nonce":', b"\xf0\x9f\x98\x80",
)  # fmt: skip

_SECRET = b"0123456789abcdef" * 8
_NONCES = "00" * 32 + "ff" * 32
_LEADER = "2160b1bbf48f4e6a9b4e44dfa73918d8"
_SALT = hashlib.pbkdf2_hmac("sha256", _NONCES.encode(), f"{_LEADER}_0".encode(), 1, 32).hex()
_REFUSED = str(e2e.undecipherable())


def _same_every_time(size: int) -> bytes:
    return bytes(range(256))[:size].ljust(size, b"\x5a")


_OURS = e2e.Keys.make(_same_every_time)


def fuzz_one(data: bytes) -> None:
    if data:
        _WAYS[data[0] % len(_WAYS)](data[1:])


def _session() -> e2e.Session:
    return e2e.Session(_SECRET, _NONCES, _LEADER, _same_every_time)


def _number(choices: Choices) -> int:
    return int.from_bytes(choices.take(4), "big") % 0x7FFFFFFF + 1


def _open(session: e2e.Session, number: int, payload: str) -> str | None:
    try:
        return session.open(number, payload)
    except ProtocolError as error:
        assert str(error) == _REFUSED, f"an error that tells more than the others: {error}"
        return None


def _described(number: int, payload: str) -> str | None:
    """The text of a payload, by the wire document alone."""
    try:
        data = bytes.fromhex(payload) if payload.isascii() and payload.isalnum() else b""
        if len(data) < 32 or len(data) % 16:
            return None
        key = hashlib.pbkdf2_hmac("sha256", _SECRET, f"{_SALT}_{number}".encode(), 1, 32)
        padded = Cipher(AES256(key), CBC(data[:16])).decryptor().update(data[16:])
        count = padded[-1]
        if not 1 <= count <= 16 or padded[-count:] != bytes([count]) * count:
            return None
        return padded[:-count].decode()
    except ValueError:
        return None


def _payload(data: bytes) -> None:
    """Any text."""
    choices = Choices(data)
    number = _number(choices)
    payload = choices.rest().decode(errors="replace")
    assert _open(_session(), number, payload) == _described(number, payload), "another text"


def _record(data: bytes) -> None:
    """Any bytes in hex, so that the cipher gets them."""
    choices = Choices(data)
    number = _number(choices)
    payload = choices.rest().hex()
    assert _open(_session(), number, payload) == _described(number, payload), "another text"


def _sealed(data: bytes) -> None:
    """A text that was sealed, as it is and with a change."""
    choices = Choices(data)
    number, at, bits = _number(choices), choices.byte(), choices.byte()
    text = choices.rest().decode(errors="replace")
    session = _session()
    payload = session.seal(number, text.encode())
    assert session.open(number, payload.decode()) == text, "sealed and opened"
    assert _described(number, payload.decode()) == text, "opened by the description"
    record = bytearray.fromhex(payload.decode())
    if at == 255:
        del record[bits % len(record) :]
    else:
        record[at * len(record) >> 8] ^= bits
    changed = record.hex()
    assert _open(session, number, changed) == _described(number, changed), "another text of a changed payload"
    other = number % 0x7FFFFFFF + 1
    assert _open(session, other, changed) == _described(other, changed), "another text under another number"


def _offer(data: bytes) -> None:
    """Any JSON as what a SWITCH packet says."""
    try:
        value = json.loads(data)
    except ValueError:
        return
    try:
        offer = e2e.Offer.parse(value)
    except ProtocolError:
        return
    assert len(offer.point) == e2e.POINT, "a point of another size"
    _use(offer)


def _point(data: bytes) -> None:
    """Any point and nonce, rightly encoded."""
    choices = Choices(data)
    nonce = choices.take(32).ljust(32, b"\0")
    point = choices.rest()
    if len(point) < e2e.POINT and choices:
        point = b"\x04" + point
    value = e2e.Offer(point, nonce.hex())
    message = {"type": e2e.E2EE, "key": base64.b64encode(point).decode(), "nonce": value.nonce}
    try:
        offer = e2e.Offer.parse(message)
    except ProtocolError:
        assert len(point) != e2e.POINT or point[0] != 4, "a point in the right form was refused"
        return
    assert (offer.point, offer.nonce) == (point, nonce.hex()), "another offer"
    _use(offer)


def _use(offer: e2e.Offer) -> None:
    offer.is_first()
    offer.answers(_OURS)
    if offer.point == _OURS.point:
        return
    try:
        secret = _OURS.secret(offer)
    except ProtocolError:
        return
    assert len(secret) == e2e.SECRET, "a secret of another size"


_WAYS: tuple[Callable[[bytes], None], ...] = (_payload, _record, _sealed, _offer, _point)


def seeds() -> Iterator[bytes]:
    for recording, frames in recorded.conversations():
        if "e2e" not in recording["description"] and "keys" not in recording:
            continue
        for number, frame in enumerate(frames[:24]):
            text = frame["text"]
            if text[1:2] == "4":
                yield bytes([3]) + text[6:].encode()
            elif len(text) > 70:
                yield bytes([number % 2, 0, 0, 0, number]) + text[6 : 6 + MAX_SIZE].encode(errors="replace")
    session = _session()
    for size in (0, 1, 15, 16, 17, 100):
        sealed = session.seal(7, b"x" * size)
        yield bytes([0, 0, 0, 0, 6]) + sealed
        yield bytes([1, 0, 0, 0, 6]) + bytes.fromhex(sealed.decode())
        yield bytes([2, 0, 0, 0, 6, 128, 1]) + b"x" * size
    yield bytes([4]) + bytes(32) + _OURS.point
