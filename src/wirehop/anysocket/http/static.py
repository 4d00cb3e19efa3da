"""Files as answers (RFC 9110): found and read in threads, sent in pieces, in part if asked for."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import stat
import time
from collections.abc import Callable
from email.utils import formatdate, parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from wirehop.anysocket.http.content_types import content_type
from wirehop.node.threads import ordinary

if TYPE_CHECKING:
    from wirehop.anysocket.http.peer import AnyHTTPPeer

__all__ = ["send_file", "send_from"]

PIECE = 256 * 1024
"""Bytes that are read at once: more would save no time. What has no more is read while it is
opened, so that a small file costs one thread's visit."""

_MISSING = frozenset(
    {
        errno.EACCES,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENODEV,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ENXIO,
        errno.EPERM,
    }
)
"""Errors that say that there is nothing for the client; others are the server's trouble."""

# Not to wait for a writer of what turns out to be a pipe.
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)

_RANGE = re.compile(r"bytes=[ \t]*(?:(\d{1,18})-(\d{1,18})?|-(\d{1,18}))[ \t]*", re.ASCII | re.IGNORECASE)

_ETAG = re.compile(r'"[^"]*"')


async def send_file(peer: AnyHTTPPeer, path: str, type: str | None = None) -> None:
    """Answer with the file at ``path``, wherever that is; 404 if it is no file that can be read."""
    await _send(peer, partial(_File, path, _FLAGS, type))


async def send_from(peer: AnyHTTPPeer, root: str, name: str) -> None:
    """Answer with the file that a client calls ``name`` if that is below ``root``, links and all;
    404 if it is not."""
    await _send(peer, partial(_find, root, name))


async def _send(peer: AnyHTTPPeer, find: Callable[[], _File]) -> None:
    try:
        file: _File = await _in_thread(find, _close)
    except OSError as error:
        if error.errno not in _MISSING:
            raise
        peer.fail(404)
        return
    except ValueError:
        # A NUL, or what the file system's encoding cannot say: no path can have it.
        peer.fail(404)
        return
    try:
        if peer.is_closed():
            return
        first, last = _head(peer, file)
        while first < last:
            piece = await file.read(first, min(PIECE, last - first))
            if not piece:
                # It has become shorter. The client will see that something is missing.
                break
            first += len(piece)
            await peer.write(piece)
        peer.end()
    finally:
        file.close()


def _head(peer: AnyHTTPPeer, file: _File) -> tuple[int, int]:
    """Say which bytes of the file will follow, from the first to before the last."""
    headers = peer.query.headers
    first, last = 0, file.size
    # Conditions and ranges are about what is read, and an error is itself whoever has it already.
    if peer.answers_with(200) and peer.query.method in ("get", "head"):
        peer.header("ETag", file.etag).header("Last-Modified", file.modified)
        if _is_known(headers, file):
            peer.status(304)
            return 0, 0
        peer.header("Accept-Ranges", "bytes")
        if peer.query.method == "get":
            status, first, last = _range(headers, file)
            peer.status(status)
            if status == 416:
                peer.header("Content-Range", f"bytes */{file.size}")
                return 0, 0
            if status == 206:
                peer.header("Content-Range", f"bytes {first}-{last - 1}/{file.size}")
    if not peer.has_header("content-type"):
        peer.header("Content-Type", file.type)
    peer.header("Content-Length", last - first).write(b"")
    return (0, 0) if peer.query.method == "head" else (first, last)


def _is_known(headers: dict[str, str], file: _File) -> bool:
    """Whether the client has this very file (RFC 9110, 13.1.2 and 13.1.3)."""
    tags = headers.get("if-none-match")
    if tags is not None:
        return tags.strip() == "*" or file.etag in _ETAG.findall(tags)
    try:
        since = parsedate_to_datetime(headers["if-modified-since"])
    except (KeyError, ValueError, TypeError, IndexError, OverflowError):
        return False
    # HTTP's dates have a time zone, and it is GMT.
    return since.tzinfo is not None and file.mtime <= since.timestamp()


def _range(headers: dict[str, str], file: _File) -> tuple[int, int, int]:
    """The status and the part that is asked for, from the first to before the last byte: 200 with
    all where that is not one range of this file, 416 where the file has nothing of it (RFC 9110,
    14.2)."""
    size = file.size
    condition = headers.get("if-range")
    asked = _RANGE.fullmatch(headers.get("range", ""))
    if asked is None or (condition is not None and condition not in (file.etag, file.modified)):
        return 200, 0, size
    first, last, suffix = asked.groups()
    if suffix is not None:
        if int(suffix) and not size:
            # All of nothing is something that can be had, but no range can say it.
            return 200, 0, 0
        return (206, max(0, size - int(suffix)), size) if int(suffix) else (416, 0, 0)
    if last is not None and int(last) < int(first):
        return 200, 0, size
    if int(first) >= size:
        return 416, 0, 0
    return 206, int(first), size if last is None else min(int(last) + 1, size)


class _File:
    """A regular file that is open, or has been read already. To be made in a thread."""

    __slots__ = ("_content", "_fd", "etag", "modified", "mtime", "size", "type")

    def __init__(self, path: str, flags: int, type: str | None) -> None:
        self._fd = os.open(path, flags)
        self._content = b""
        try:
            status = os.fstat(self._fd)
            if not stat.S_ISREG(status.st_mode):
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            self.size = status.st_size
            self.type = type or content_type(path)
            if self.size <= PIECE:
                self._content = _read(self._fd, 0, self.size)
                self.size = len(self._content)
                self.close()
        except BaseException:
            self.close()
            raise
        self.etag = f'"{status.st_mtime_ns:x}-{self.size:x}"'
        # What is changed in the future has been changed now (RFC 9110, 8.8.2.1).
        self.mtime = max(0, min(int(status.st_mtime), int(time.time())))
        self.modified = formatdate(self.mtime, usegmt=True)

    async def read(self, at: int, size: int) -> bytes:
        """What is there from ``at`` on: ``size`` bytes at most, none at the end."""
        if self._content:
            return self._content[at : at + size]
        # Lent to the thread: it must not be closed while that reads.
        fd, self._fd = self._fd, -1
        try:
            data: bytes = await _in_thread(partial(_read, fd, at, size), lambda _: os.close(fd))
        except Exception:
            self._fd = fd
            raise
        self._fd = fd
        return data

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _close(file: _File | None) -> None:
    if file is not None:
        file.close()


def _find(root: str, name: str) -> _File:
    """The file that a client calls ``name``. Raises ``OSError`` for all that is not below ``root``."""
    missing = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    try:
        decoded = unquote_to_bytes(name.encode("latin-1")).decode()
    except UnicodeDecodeError:
        raise missing from None
    if "\0" in decoded or decoded.endswith("/"):
        raise missing
    root = os.path.realpath(root)
    path = os.path.realpath(root + os.sep + decoded)
    if not path.startswith(root.rstrip(os.sep) + os.sep):
        raise missing
    # A link that takes its place only now is not followed.
    return _File(path, _FLAGS | _NO_LINK, None)


def _read(fd: int, at: int, size: int) -> bytes:
    os.lseek(fd, at, os.SEEK_SET)
    return os.read(fd, size)


async def _in_thread(work: Callable[[], Any], abandoned: Callable[[Any], None]) -> Any:
    """What ``work()`` returns, or raises, in a thread. If who waits is cancelled before,
    ``abandoned`` is called at its end with what it returned, or with None."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def done(result: Any, error: Exception | None) -> None:
        if future.cancelled():
            abandoned(result)
        elif error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    ordinary.of(loop).run(work, done, drop=abandoned)
    try:
        return await future
    except asyncio.CancelledError:
        if not future.cancelled():
            abandoned(None if future.exception() else future.result())
        raise
