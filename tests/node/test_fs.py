from __future__ import annotations

import asyncio
import errno
import gc
import json
import logging
import os
import select
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import LOOPS
from tests.raw import until
from wirehop.core import json as wire_json
from wirehop.errors import LimitExceeded
from wirehop.node import alive, fs, threads
from wirehop.node.promise import Promise


def fill(fd: int) -> int:
    """Fill a pipe, and leave it as it was otherwise. Returns the number of bytes."""
    os.set_blocking(fd, False)
    written = 0
    try:
        while True:
            written += os.write(fd, b"." * 4096)
    except BlockingIOError:
        return written
    finally:
        os.set_blocking(fd, True)


def drain(fd: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += os.read(fd, size - len(data))
    return data


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "wirehop-file"]


async def fails(promise: Awaitable[Any], number: int) -> OSError:
    with pytest.raises(OSError) as caught:
        await promise
    assert caught.value.errno == number
    return caught.value


# --- names


def test_the_constants_are_those_of_the_system() -> None:
    names = [name for name in fs.__all__ if name.startswith("O_")]
    assert {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_CREAT", "O_EXCL", "O_TRUNC", "O_APPEND"} <= set(names)
    assert {name: getattr(fs, name) for name in names} == {name: getattr(os, name) for name in names}


async def test_rename_replaces(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("from a")
    (tmp_path / "b").write_text("from b")
    assert await fs.rename(tmp_path / "a", str(tmp_path / "b")) is None
    assert os.listdir(tmp_path) == ["b"]
    assert (tmp_path / "b").read_text() == "from a"


async def test_unlink_and_rmdir(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "file").touch()
    await fails(fs.rmdir(tmp_path / "dir"), errno.ENOTEMPTY)
    assert await fs.unlink(os.fsencode(tmp_path / "dir" / "file")) is None
    assert await fs.rmdir(tmp_path / "dir") is None
    assert os.listdir(tmp_path) == []


async def test_what_the_system_refuses(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    for promise in (
        fs.rename(missing, tmp_path / "b"),
        fs.stat(missing),
        fs.unlink(missing),
        fs.rmdir(missing),
        fs.open(missing, fs.O_RDONLY),
        fs.cat(missing),
    ):
        error = await fails(promise, errno.ENOENT)
        assert isinstance(error, FileNotFoundError)
        assert error.filename == missing


async def test_callbacks_get_what_the_seed_says(tmp_path: Path) -> None:
    calls: list[tuple[Any, ...]] = []

    def note(name: str) -> Callable[..., None]:
        return lambda *args: calls.append((name, *args))

    path = tmp_path / "a"
    path.write_text("x")
    await fs.rename(path, tmp_path / "b").add_callback(note("rename"))
    fd = await fs.open(tmp_path / "b", fs.O_RDONLY).add_callback(note("open"))
    await fs.read(fd, 10).add_callback(note("read"))
    await fs.read(fd, 10).add_callback(note("end"))
    await fs.close(fd).add_callback(note("close"))
    await fs.unlink(tmp_path / "b").add_callback(note("unlink"))
    (tmp_path / "dir").mkdir()
    await fs.rmdir(tmp_path / "dir").add_callback(note("rmdir"))
    failed = fs.unlink(tmp_path / "b").add_errback(note("error"))
    await until(lambda: failed.has_settled)
    *others, (name, error) = calls
    assert others == [
        ("rename",),
        ("open", fd),
        ("read", b"x"),
        ("end", None),
        ("close",),
        ("unlink",),
        ("rmdir",),
    ]
    assert name == "error"
    assert isinstance(error, FileNotFoundError)


@pytest.mark.parametrize(
    "call",
    [
        lambda path: fs.stat(path),
        lambda path: fs.unlink(path),
        lambda path: fs.rmdir(path),
        lambda path: fs.exists(path),
        lambda path: fs.cat(path),
        lambda path: fs.open(path, fs.O_RDONLY),
        lambda path: fs.rename("a", path),
        lambda path: fs.rename(path, "a"),
    ],
)
async def test_what_can_be_no_path_raises_at_the_call(call: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError):
        call(3)
    with pytest.raises(TypeError):
        call(None)
    with pytest.raises(ValueError, match="null"):
        call("a\0b")
    with pytest.raises(ValueError, match="null"):
        call(b"a\0b")


async def test_other_mistakes_raise_at_the_call(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="flags must be an int, not str"):
        fs.open(tmp_path / "a", "r")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="mode must be an int, not str"):
        fs.open(tmp_path / "a", fs.O_RDONLY, "0644")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="flags cannot be"):
        fs.open(tmp_path / "a", 1 << 40)
    for call in (lambda fd: fs.close(fd), lambda fd: fs.read(fd, 1), lambda fd: fs.write(fd, b"")):
        with pytest.raises(TypeError, match="fd must be an int, not str"):
            call("1")
        with pytest.raises(ValueError, match="fd cannot be 2147483648"):
            call(1 << 31)
    for length in (-1, fs.READ_LIMIT + 1):
        with pytest.raises(ValueError, match="a length is from 0"):
            fs.read(0, length)
    for position in (-1, 1 << 63):
        with pytest.raises(ValueError, match="a position is from 0"):
            fs.read(0, 1, position)
        with pytest.raises(ValueError, match="a position is from 0"):
            fs.write(1, b"x", position)
    with pytest.raises(TypeError):
        fs.read(0, 1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        fs.read(0, 1, 1.5)  # type: ignore[arg-type]
    for wrong in (lambda: fs.read(0, 1, None, "latin1"), lambda: fs.cat("a", "latin1")):
        with pytest.raises(ValueError, match="no encoding here"):
            wrong()
    with pytest.raises(UnicodeEncodeError):
        fs.write(1, "é", None, "ascii")
    with pytest.raises(TypeError, match="raw data is bytes"):
        fs.write(1, "text", None, "raw")


def test_without_a_loop_it_raises_at_the_call() -> None:
    for call in (lambda: fs.stat("."), lambda: fs.read(0, 1), lambda: fs.close(0), lambda: fs.cat(".")):
        with pytest.raises(RuntimeError, match="no running event loop"):
            call()


# --- stat

NUMBERS = ["dev", "ino", "mode", "nlink", "uid", "gid", "rdev", "size", "blksize", "blocks"]


async def test_stat_says_what_the_system_says(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 5000)
    os.chmod(path, 0o640)
    os.utime(path, ns=(1_246_276_315_123_456_789, 1_246_276_300_000_000_000))
    os.symlink(path, tmp_path / "link")
    stats = await fs.stat(tmp_path / "link")
    assert stats.atime == datetime(2009, 6, 29, 11, 51, 55, 123456, UTC)
    assert stats.mtime == datetime(2009, 6, 29, 11, 51, 40, 0, UTC)
    assert abs(stats.ctime - datetime.now(UTC)) < timedelta(days=1)
    found = os.stat(path)
    for name in NUMBERS:
        assert getattr(stats, name) == getattr(found, f"st_{name}")
    assert (stats.size, stat.S_IMODE(stats.mode)) == (5000, 0o640)
    with pytest.raises(AttributeError):
        stats.size = 1  # type: ignore[misc]


async def test_stats_can_be_printed_as_json(tmp_path: Path) -> None:
    os.utime(tmp_path, ns=(1_246_276_315_000_000_000, 1_246_276_300_123_456_789))
    printed = json.loads(wire_json.dumps(await fs.stat(tmp_path)))
    times = ["atime", "mtime", "ctime"]
    assert list(printed) == [*NUMBERS, *times]
    assert printed["ino"] == os.stat(tmp_path).st_ino
    assert (printed["atime"], printed["mtime"]) == ("2009-06-29T11:51:55.000Z", "2009-06-29T11:51:40.123Z")


async def test_stat_of_a_file_from_another_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems store years that a datetime does not have."""
    found = os.stat(".")
    values = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
    values |= {"st_atime_ns": 10**30, "st_mtime_ns": -(10**30), "st_ctime_ns": -1}
    monkeypatch.setattr(os, "stat", lambda path: SimpleNamespace(**values))
    stats = await fs.stat(".")
    assert stats.atime == datetime.max.replace(tzinfo=UTC)
    assert stats.mtime == datetime.min.replace(tzinfo=UTC)
    assert stats.ctime == datetime(1969, 12, 31, 23, 59, 59, 999999, UTC)


async def test_exists(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    assert await fs.exists(tmp_path) is True
    assert await fs.exists(tmp_path / "file") is True
    assert await fs.exists(tmp_path / "missing") is False
    assert await fs.exists(tmp_path / "dangling") is False
    assert await fs.exists(tmp_path / "file" / "below") is False


# --- open, close, read, write


async def test_open_creates_with_the_mode_and_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        fd = await fs.open(tmp_path / "a", fs.O_WRONLY | fs.O_CREAT | fs.O_EXCL)
        other = await fs.open(tmp_path / "b", fs.O_WRONLY | fs.O_CREAT, 0o755)
    finally:
        os.umask(old)
    assert not os.get_inheritable(fd)
    assert stat.S_IMODE(os.stat(tmp_path / "a").st_mode) == 0o640
    assert stat.S_IMODE(os.stat(tmp_path / "b").st_mode) == 0o750
    await fails(fs.open(tmp_path / "a", fs.O_WRONLY | fs.O_CREAT | fs.O_EXCL), errno.EEXIST)
    await fs.close(fd)
    await fs.close(other)
    await fails(fs.close(fd), errno.EBADF)


async def test_read_and_write_at_positions_and_at_the_files_own(tmp_path: Path) -> None:
    fd = await fs.open(tmp_path / "a", fs.O_RDWR | fs.O_CREAT)
    assert await fs.write(fd, "héllo") == 6
    assert await fs.write(fd, bytearray(b" world"), None, "raw") == 6
    assert await fs.write(fd, "HÉ", 0) == 3
    assert await fs.write(fd, "", 0) == 0
    assert await fs.read(fd, 5) is None, "the file's own position is the end"
    assert await fs.read(fd, 100, 0) == "HÉllo world".encode()
    assert await fs.read(fd, 3, 0, "utf8") == "HÉ"
    assert await fs.read(fd, 5, 7, "UTF8") == "world"
    assert await fs.read(fd, 5, 7, "ascii") == "world"
    assert await fs.read(fd, 5, 12, "utf8") is None
    assert await fs.read(fd, 0, 0) == b""
    assert await fs.read(fd, 0, None, "utf8") == ""
    os.lseek(fd, 3, os.SEEK_SET)
    assert await fs.read(fd, 2) == b"ll"
    assert await fs.read(fd, 2) == b"o "
    await fs.close(fd)


async def test_one_read_that_splits_a_character_says_so(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("é")
    fd = await fs.open(tmp_path / "a", fs.O_RDONLY)
    assert await fs.read(fd, 1, 0, "utf8") == "\ufffd"
    await fs.close(fd)


async def test_what_cannot_be_read_or_written(tmp_path: Path, pipe: tuple[int, int]) -> None:
    fd = await fs.open(tmp_path / "a", fs.O_WRONLY | fs.O_CREAT)
    await fails(fs.read(fd, 1), errno.EBADF)
    await fs.close(fd)
    await fails(fs.read(fd, 1), errno.EBADF)
    await fails(fs.write(fd, b"x"), errno.EBADF)
    await fails(fs.read(-1, 1), errno.EBADF)
    await fails(fs.write(-1, b"x"), errno.EBADF)
    await fails(fs.close(-1), errno.EBADF)
    await fails(fs.read(pipe[0], 1, 0), errno.ESPIPE)
    await fails(fs.write(pipe[1], b"x", 0), errno.ESPIPE)
    directory = await fs.open(tmp_path, fs.O_RDONLY)
    await fails(fs.read(directory, 1), errno.EISDIR)
    await fs.close(directory)
    os.close(pipe[0])
    await fails(fs.write(pipe[1], b"x"), errno.EPIPE)


async def test_a_write_is_one_write(pipe: tuple[int, int]) -> None:
    """And tells when the system took less than all."""
    os.set_blocking(pipe[1], False)
    size = await fs.write(pipe[1], b"x" * (1 << 20))
    assert 0 < size < 1 << 20
    assert drain(pipe[0], size) == b"x" * size
    os.set_blocking(pipe[0], False)
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 1)


async def test_an_operation_goes_on_when_its_waiter_is_cancelled(pipe: tuple[int, int]) -> None:
    promise = fs.read(pipe[0], 10)

    async def wait() -> Any:
        return await promise

    waiter = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert not promise.has_settled
    os.write(pipe[1], b"still")
    assert await promise == b"still"


async def test_an_operation_keeps_the_program_alive(pipe: tuple[int, int], tmp_path: Path) -> None:
    read: list[bytes] = []
    fs.read(pipe[0], 10).add_callback(read.append)
    fs.stat(tmp_path).add_callback(lambda: os.write(pipe[1], b"x"))
    await alive.wait_until_idle()
    assert read == [b"x"]


async def test_an_error_that_nobody_hears_is_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "wirehop"):
        fs.unlink(tmp_path / "missing")
        await alive.wait_until_idle()
        await until(lambda: gc.collect() >= 0 and caplog.records)
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == [
        f"[Errno 2] No such file or directory: '{tmp_path}/missing'"
    ]
    assert len(caplog.records) == 1


# --- descriptors that can be waited for


async def test_reads_that_wait_take_no_thread() -> None:
    pipes = [os.pipe() for _ in range(threads.PATIENT + threads.ORDINARY + 1)]
    before = len(workers())
    reads = [fs.read(r, 10) for r, _ in pipes]
    await fs.stat(".")
    assert len(workers()) <= before + 1, "that of stat"
    assert all(os.get_blocking(r) for r, _ in pipes), "the descriptors stay as their owners have them"
    os.write(pipes[-1][1], b"last")
    assert await reads[-1] == b"last"
    assert not any(read.has_settled for read in reads[:-1])
    for _, w in pipes:
        os.close(w)
    assert [await read for read in reads[:-1]] == [None] * (len(reads) - 1)
    for r, _ in pipes:
        os.close(r)


async def test_reads_of_one_descriptor_may_wait_together(pipe: tuple[int, int]) -> None:
    reads = [fs.read(pipe[0], 1) for _ in range(3)]
    os.write(pipe[1], b"ab")
    await until(lambda: sum(read.has_settled for read in reads) == 2)
    os.write(pipe[1], b"c")
    assert sorted([await read for read in reads]) == [b"a", b"b", b"c"]


async def test_reads_of_a_descriptor_that_does_not_wait_itself(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[0], False)
    reads = [fs.read(pipe[0], 1) for _ in range(3)]
    os.write(pipe[1], b"a")
    await until(lambda: any(read.has_settled for read in reads))
    os.write(pipe[1], b"bc")
    assert sorted([await read for read in reads]) == [b"a", b"b", b"c"]
    assert not os.get_blocking(pipe[0])


async def test_a_write_to_a_descriptor_that_does_not_wait_itself(pipe: tuple[int, int]) -> None:
    size = fill(pipe[1])
    os.set_blocking(pipe[1], False)
    promise = fs.write(pipe[1], b"x" * 10)
    await fs.stat(".")
    assert not promise.has_settled
    drain(pipe[0], size)
    assert await promise == 10
    assert drain(pipe[0], 10) == b"x" * 10


async def test_sockets_and_terminals() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reading = fs.read(ours.fileno(), 100)
        assert await fs.write(theirs.fileno(), "hello") == 5
        assert await reading == b"hello"
        reading = fs.read(ours.fileno(), 100)
        theirs.shutdown(socket.SHUT_WR)
        assert await reading is None
    master, slave = os.openpty()
    reading = fs.read(slave, 100, None, "utf8")
    await fs.stat(".")
    assert not reading.has_settled
    os.write(master, b"a line\n")
    assert await reading == "a line\n"
    await fs.close(slave)
    os.close(master)


async def test_devices_that_never_wait() -> None:
    fd = await fs.open("/dev/null", fs.O_RDWR)
    assert await fs.write(fd, b"gone") == 4
    assert await fs.read(fd, 4) is None
    await fs.close(fd)


async def test_closing_ends_the_reads_that_wait(pipe: tuple[int, int]) -> None:
    other = os.pipe()
    kept = fs.read(other[0], 10)
    reads = [fs.read(pipe[0], 10) for _ in range(2)]
    closing = fs.close(pipe[0])
    for read in reads:
        await fails(read, errno.EBADF)
    await closing
    assert not kept.has_settled
    os.write(other[1], b"kept")
    assert await kept == b"kept"
    for fd in other:
        os.close(fd)


async def test_pipes_that_nobody_reads_hold_up_nothing_else(tmp_path: Path) -> None:
    pipes = [os.pipe() for _ in range(threads.PATIENT + 6)]
    sizes = [fill(w) for _, w in pipes]
    writes = [fs.write(w, b"at last") for _, w in pipes]
    path = tmp_path / "file"
    path.write_text("here")
    assert await fs.cat(path) == "here"
    assert not any(write.has_settled for write in writes)
    # They keep each other waiting, but not who can help them.
    for (r, _), size in zip(reversed(pipes), reversed(sizes), strict=True):
        assert len(await fs.read(r, size)) == size
    assert [await write for write in writes] == [7] * len(pipes)
    for r, w in pipes:
        assert drain(r, 7) == b"at last"
        os.close(r)
        os.close(w)


async def test_fifos_that_nobody_opens_hold_up_nothing_else(tmp_path: Path) -> None:
    paths = [tmp_path / f"fifo{number}" for number in range(threads.ORDINARY + 3)]
    for path in paths:
        os.mkfifo(path)
    opens = [fs.open(path, fs.O_RDONLY) for path in paths]
    assert await fs.exists(paths[0])
    # One that says it does not wait is not made to.
    first = await fs.open(paths[0], fs.O_RDONLY | fs.O_NONBLOCK)
    assert not any(promise.has_settled for promise in opens)
    writers = [await fs.open(path, fs.O_WRONLY) for path in paths]
    readers = [await promise for promise in opens]
    for fd in (first, *writers, *readers):
        await fs.close(fd)


async def test_without_epoll_a_thread_waits(monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]) -> None:
    monkeypatch.delattr(select, "epoll")
    promise = fs.read(pipe[0], 10)
    assert await fs.exists(".")
    assert not promise.has_settled
    assert await fs.write(pipe[1], b"data") == 4
    assert await promise == b"data"


async def test_without_a_descriptor_for_an_epoll_a_thread_waits(
    monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]
) -> None:
    def none_left() -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(select, "epoll", none_left)
    promise = fs.read(pipe[0], 10)
    os.write(pipe[1], b"data")
    assert await promise == b"data"


# --- cat


async def test_cat(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes("Grüße\r\n".encode())
    assert await fs.cat(path) == "Grüße\r\n"
    assert await fs.cat(str(path), "utf8") == "Grüße\r\n"
    assert await fs.cat(path, "RAW") == "Grüße\r\n".encode()
    assert await fs.cat(path, "ascii") == "Gr\ufffd\ufffd\ufffd\ufffde\r\n"
    path.write_bytes(b"")
    assert await fs.cat(path) == ""
    assert await fs.cat(path, "raw") == b""


async def test_cat_splits_no_character(tmp_path: Path) -> None:
    """Whatever the size of its reads, one of the four shifts puts it inside a character."""
    path = tmp_path / "file"
    for shift in range(4):
        text = "." * shift + "\U0001f600" * 200_000
        path.write_text(text, encoding="utf8")
        assert await fs.cat(path) == text


async def test_cat_of_what_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a\xffb\xe2\x82")
    assert await fs.cat(path) == "a\ufffdb\ufffd"
    assert await fs.cat(path, "raw") == b"a\xffb\xe2\x82"


async def test_cat_of_files_that_claim_no_size() -> None:
    assert os.stat("/proc/self/status").st_size == 0
    assert f"\nPid:\t{os.getpid()}\n" in await fs.cat("/proc/self/status")


async def test_cat_of_a_directory(tmp_path: Path) -> None:
    await fails(fs.cat(tmp_path), errno.EISDIR)


async def test_cat_stops_at_its_limit(tmp_path: Path) -> None:
    with pytest.raises(LimitExceeded, match="/dev/zero has more than 1000000 bytes"):
        await fs.cat("/dev/zero", "raw", limit=1_000_000)
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert await fs.cat(path, limit=5) == "12345"
    with pytest.raises(LimitExceeded, match="file has more than 4 bytes"):
        await fs.cat(path, limit=4)


async def test_cat_of_a_fifo_waits_for_its_writer_and_its_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    promise = fs.cat(tmp_path / "fifo")
    fd = await fs.open(tmp_path / "fifo", fs.O_WRONLY)
    await fs.write(fd, b"\xc3")
    await fs.write(fd, b"\xa9")
    assert not promise.has_settled
    await fs.close(fd)
    assert await promise == "é"


# --- limits, threads and loops that end


async def test_too_many_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "WAITING_LIMIT", 3)
    promises = [fs.exists(".") for _ in range(threads.ORDINARY + 3)]
    refused = fs.exists(".")
    with pytest.raises(LimitExceeded, match="3 file operations are waiting already"):
        await refused
    assert [await promise for promise in promises] == [True] * len(promises)
    assert await fs.exists(".")


async def test_too_many_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pipe: tuple[int, int]) -> None:
    monkeypatch.setattr(threads, "WAITING_BYTES", 1000)
    size = fill(pipe[1])
    first = fs.write(pipe[1], b"x" * 2000)
    refused = fs.write(pipe[1], b"y")
    with pytest.raises(LimitExceeded, match="more than 1000 bytes would wait"):
        await refused
    drain(pipe[0], size)
    assert await first == 2000
    assert await fs.write(pipe[1], b"z" * 2000) == 2000
    assert drain(pipe[0], 4000) == b"x" * 2000 + b"z" * 2000


class NoThread:
    def __init__(self, **_: Any) -> None:
        pass

    def start(self) -> None:
        raise RuntimeError("can't start new thread")


async def test_when_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = threads.Thread
    monkeypatch.setattr(threads, "Thread", NoThread)
    for _ in range(2):
        error = await fails(fs.stat("."), errno.EAGAIN)
        assert "can't start new thread" in str(error)
    monkeypatch.setattr(threads, "Thread", real)
    first = fs.exists(".")
    monkeypatch.setattr(threads, "Thread", NoThread)
    # The one that there is does it all.
    others = [fs.exists(".") for _ in range(10)]
    assert await first
    assert [await other for other in others] == [True] * 10


async def test_only_a_few_threads_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """And when they are needed again, as many as before are started."""
    monkeypatch.setattr(threads, "PATIENT", 20)
    pipes = [os.pipe() for _ in range(21)]
    known = set(workers())
    for _ in range(2):
        sizes = [fill(w) for _, w in pipes]
        writes = [fs.write(w, b"x") for _, w in pipes]
        new = set(workers()) - known
        assert len(new) == 20
        for (r, _), size in zip(pipes, sizes, strict=True):
            drain(r, size)
        assert [await write for write in writes] == [1] * 21
        await until(lambda new=new: sum(thread.is_alive() for thread in new) == threads.SPARE)
        for r, _ in pipes:
            drain(r, 1)
    for ends in pipes:
        for fd in ends:
            os.close(fd)


@pytest.mark.parametrize("name", list(LOOPS))
def test_the_threads_of_a_loop_end_with_it(name: str) -> None:
    known = set(workers())

    async def main() -> set[threading.Thread]:
        await asyncio.gather(*(wait(fs.exists(".")) for _ in range(10)))
        return set(workers()) - known

    new = run(name, main)
    assert 0 < len(new) <= threads.ORDINARY
    gc.collect()
    for thread in new:
        thread.join(30)
    assert not any(thread.is_alive() for thread in new)


@pytest.mark.parametrize("name", list(LOOPS))
def test_a_loop_that_closed_meanwhile(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a thread opened for it is closed again, and what had not begun is not begun."""
    monkeypatch.setattr(threads, "ORDINARY", 1)
    monkeypatch.setattr(threads, "PATIENT", 1)
    known = set(workers())
    paths = [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        os.mkfifo(path)

    pipe = os.pipe()

    async def program() -> None:
        fs.open(paths[0], fs.O_RDONLY)
        fs.open(paths[1], fs.O_RDONLY)
        fs.read(pipe[0], 1)
        # Now the patient thread has the first of them, and the second one waits for that thread.
        await fs.exists(".")

    run(name, program)
    new = set(workers()) - known
    writer = os.open(paths[0], os.O_WRONLY)
    poll = select.poll()
    poll.register(writer, 0)
    assert poll.poll(30_000) == [(writer, select.POLLERR)], "its only reader has left"
    os.close(writer)
    gc.collect()
    for thread in new:
        thread.join(30)
    assert not any(thread.is_alive() for thread in new)
    with pytest.raises(OSError) as caught:
        os.open(paths[1], os.O_WRONLY | os.O_NONBLOCK)
    assert caught.value.errno == errno.ENXIO, "nobody opened the other one"
    for fd in pipe:
        os.close(fd)


@pytest.mark.parametrize("call", [lambda path: fs.open(path, fs.O_RDONLY), lambda path: fs.cat(path)])
def test_a_file_that_was_opened_too_late_is_closed(
    call: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    is_closed = threading.Event()
    opened: list[int] = []
    really_open = os.open

    def open_late(*args: Any) -> int:
        is_closed.wait(60)
        opened.append(really_open(*args))
        return opened[0]

    async def main() -> threading.Thread:
        known = set(workers())
        call(tmp_path / "file")
        (new,) = set(workers()) - known
        return new

    (tmp_path / "file").write_text("data")
    monkeypatch.setattr(os, "open", open_late)
    thread = asyncio.run(main())
    is_closed.set()
    thread.join(60)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])


def test_a_defect_of_ours_fails_the_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Any) -> Any:
        raise ZeroDivisionError("a defect")

    async def main() -> None:
        monkeypatch.setattr(os, "stat", broken)
        with pytest.raises(ZeroDivisionError, match="a defect"):
            await fs.stat(".")

    asyncio.run(main())


@pytest.mark.parametrize("name", list(LOOPS))
@pytest.mark.parametrize("has_epoll", [True, False])
def test_a_program_can_end_while_a_read_waits(name: str, has_epoll: bool) -> None:
    program = f"""
import asyncio, select
{"" if has_epoll else "del select.epoll"}
from wirehop.node import fs

async def main():
    promise = fs.read(0, 10)
    await fs.exists(".")
    assert not promise.has_settled

{"import uvloop" if name == "uvloop" else ""}
with asyncio.Runner({"loop_factory=uvloop.new_event_loop" if name == "uvloop" else ""}) as runner:
    runner.run(main())
"""
    r, w = os.pipe()
    try:
        ended = subprocess.run([sys.executable, "-c", program], stdin=r, capture_output=True, timeout=60)
        assert os.get_blocking(r)
    finally:
        os.close(r)
        os.close(w)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


async def wait(promise: Promise[Any]) -> Any:
    return await promise


def run(name: str, main: Callable[[], Any]) -> Any:
    with asyncio.Runner(loop_factory=LOOPS[name]) as runner:
        return runner.run(main())


def test_a_system_that_lacks_some_flags() -> None:
    """Windows has no O_NOFOLLOW and the like: they are 0 there, and nothing else is missing."""
    lacking = ["O_CLOEXEC", "O_DIRECTORY", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "O_SYNC"]
    program = f"""
import asyncio, os, selectors, socket, ssl, subprocess
for name in {lacking}:
    delattr(os, name)
from wirehop import node
assert [getattr(node.fs, name) for name in {lacking}] == [0] * 6
"""
    subprocess.run([sys.executable, "-c", program], check=True)
