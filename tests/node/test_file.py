from __future__ import annotations

import asyncio
import errno
import gc
import json
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import LOOPS
from tests.raw import until
from wirehop.errors import LimitExceeded
from wirehop.node import alive, file, fs
from wirehop.node.file import File


def read_to_end(fd: int) -> bytes:
    data = b""
    while chunk := os.read(fd, 1 << 16):
        data += chunk
    return data


async def fails(promise: Awaitable[Any], number: int) -> OSError:
    with pytest.raises(OSError) as caught:
        await promise
    assert caught.value.errno == number
    return caught.value


class Recorder:
    """What happened to the promises of a File, and to the File, in its order."""

    def __init__(self, file: File) -> None:
        self.happened: list[tuple[Any, ...]] = []
        file.on("error", lambda error: self.happened.append(("error", text_of(error))))

    def note(self, name: str, promise: Any) -> Any:
        promise.add_callback(lambda *values: self.happened.append((name, *values)))
        promise.add_errback(lambda error: self.happened.append((name, text_of(error))))
        return promise


def text_of(error: Exception) -> str:
    return errno.errorcode[error.errno or 0] if isinstance(error, OSError) else str(error)


# --- order


async def test_the_example_of_the_seed(tmp_path: Path) -> None:
    file = File()
    file.open(tmp_path / "blah", "w+")
    file.write("hello")
    file.write("world")
    await file.close()
    assert (tmp_path / "blah").read_text() == "helloworld"


async def test_actions_are_done_in_order_and_promises_settle_between(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    file = File(encoding="utf8")
    recorder = Recorder(file)
    sizes: list[int] = []
    opening = recorder.note("open", file.open(path, "w+"))
    opening.add_callback(lambda: sizes.append(path.stat().st_size))
    recorder.note("write", file.write("añb")).add_callback(lambda: sizes.append(path.stat().st_size))
    recorder.note("read", file.read(100, 0)).add_callback(lambda: sizes.append(path.stat().st_size))
    recorder.note("again", file.write("XYZ", 1)).add_callback(lambda: sizes.append(path.stat().st_size))
    recorder.note("rest", file.read(100))
    recorder.note("end", file.read(100))
    closing = recorder.note("close", file.close())
    assert file.fd is None, "nothing is done before the call returns"
    fd = await opening
    assert file.fd == fd
    await closing
    assert file.fd is None
    assert recorder.happened == [
        ("open", fd),
        ("write", 4),
        ("read", "añb"),
        ("again", 3),
        ("rest", None),
        ("end", None),
        ("close",),
    ]
    assert sizes == [0, 4, 4, 4], "no action began before the promise of the one before it had settled"
    assert path.read_bytes() == b"aXYZ"


async def test_what_a_listener_asks_for_comes_last(tmp_path: Path) -> None:
    file = File()
    file.open(tmp_path / "file", "w").add_callback(lambda: file.write("3"))
    file.write("1")
    await file.write("2")
    await file.close()
    assert (tmp_path / "file").read_text() == "123"


@pytest.mark.parametrize(
    ("mode", "existing", "new"),
    [
        ("r", "old|EBADF", "ENOENT"),
        ("rb", "old|EBADF", "ENOENT"),
        ("r+", "old|oldnew", "ENOENT"),
        ("w", "EBADF|new", "EBADF|new"),
        ("w+", "None|new", "None|new"),
        ("w+b", "None|new", "None|new"),
        ("wb+", "None|new", "None|new"),
        ("a", "EBADF|oldnew", "EBADF|new"),
        ("a+", "old|oldnew", "None|new"),
    ],
)
async def test_modes(tmp_path: Path, mode: str, existing: str, new: str) -> None:
    """What a read gives, and what is in the file after a write: also one that asks for the start."""
    (tmp_path / "existing").write_text("old")
    for name, expected in (("existing", existing), ("new", new)):
        file = File(encoding="utf8")
        file.on("error", lambda error: None)
        if expected == "ENOENT":
            await fails(file.open(tmp_path / name, mode), errno.ENOENT)
            continue
        await file.open(tmp_path / name, mode)
        seen = []
        for action in (lambda file=file: file.read(100), lambda file=file: file.write("new")):
            try:
                seen.append(str(await action()))
            except OSError as error:
                seen.append(text_of(error))
        if seen[1] == "3":
            seen[1] = (tmp_path / name).read_text()
        assert "|".join(seen) == expected
        await file.close()


async def test_appending_is_at_the_end_whatever_others_do(tmp_path: Path) -> None:
    path = tmp_path / "file"
    async with File() as one, File() as two:
        await one.open(path, "a")
        await two.open(path, "a")
        await one.write("1")
        await two.write("2")
        await one.write("3")
    assert path.read_text() == "123"


async def test_a_new_file_has_the_mode_of_fopen(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        async with File() as file:
            await file.open(tmp_path / "file", "w")
    finally:
        os.umask(old)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


async def test_mistakes_raise_at_the_call(tmp_path: Path) -> None:
    file = File()
    for mode in ("", "x", "b", "br", "rw", "r++", "rbb", "R"):
        with pytest.raises(ValueError, match="is no mode: r, r"):
            file.open(tmp_path / "a", mode)
    with pytest.raises(TypeError):
        file.open(3, "r")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        file.open(tmp_path / "a", 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a length is from 0"):
        file.read(-1)
    with pytest.raises(ValueError, match="a position is from 0"):
        file.read(1, -1)
    with pytest.raises(ValueError, match="a position is from 0"):
        file.write("x", -1)
    with pytest.raises(ValueError, match="no encoding here"):
        file.write("x", None, "latin1")
    with pytest.raises(UnicodeEncodeError):
        file.write("é", None, "ascii")
    with pytest.raises(UnicodeEncodeError):
        file.puts("\ud800")
    with pytest.raises(TypeError, match="raw data is bytes"):
        file.write("x", 0, "raw")
    with pytest.raises(TypeError):
        file.write(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no encoding here"):
        File(encoding="latin1")
    with pytest.raises(TypeError, match="fd must be an int"):
        File(fd="1")  # type: ignore[arg-type]
    # None of them is left in the queue.
    await fails(file.close(), errno.EBADF)


def test_without_a_loop_it_raises_at_the_call() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        File().close()


# --- errors


async def test_after_an_error_the_queue_goes_on(tmp_path: Path) -> None:
    file = File()
    recorder = Recorder(file)
    recorder.note("open", file.open(tmp_path / "missing", "r"))
    recorder.note("write", file.write("lost"))
    recorder.note("second", file.open(tmp_path / "file", "w"))
    recorder.note("read", file.read(10))
    recorder.note("kept", file.write("kept"))
    recorder.note("third", file.open(tmp_path / "other", "w"))
    recorder.note("close", file.close())
    recorder.note("again", file.close())
    last = recorder.note("last", file.read(1))
    await until(lambda: last.has_settled)
    fd = next(event[1] for event in recorder.happened if event[0] == "second")
    assert recorder.happened == [
        ("open", "ENOENT"),
        ("error", "ENOENT"),
        ("write", "EBADF"),
        ("error", "EBADF"),
        ("second", fd),
        ("read", "EBADF"),
        ("error", "EBADF"),
        ("kept", 4),
        ("third", "this File is open already"),
        ("error", "this File is open already"),
        ("close",),
        ("again", "EBADF"),
        ("error", "EBADF"),
        ("last", "EBADF"),
        ("error", "EBADF"),
    ]
    assert (tmp_path / "file").read_text() == "kept"
    assert not (tmp_path / "other").exists()


async def test_the_errors_are_clear(tmp_path: Path) -> None:
    file = File()
    for call in (
        lambda: file.read(1),
        lambda: file.write(""),
        lambda: file.print("x"),
        lambda: file.puts("x"),
        file.close,
    ):
        assert "this File is not open" in str(await fails(call(), errno.EBADF))
    error = await fails(file.open(tmp_path / "missing", "r"), errno.ENOENT)
    assert error.filename == str(tmp_path / "missing")
    await file.open(tmp_path / "file", "w")
    with pytest.raises(RuntimeError, match="this File is open already"):
        await file.open(tmp_path / "file", "w")
    await file.close()


async def test_an_error_comes_after_the_call_has_returned() -> None:
    file = File()
    recorder = Recorder(file)
    recorder.note("close", file.close())
    assert recorder.happened == []
    await until(lambda: recorder.happened)
    assert recorder.happened == [("close", "EBADF"), ("error", "EBADF")]


async def reported(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged, once all promises are settled and forgotten."""
    await alive.wait_until_idle()
    for _ in range(3):
        await asyncio.sleep(0)
        gc.collect()
    assert all(record.exc_info for record in caplog.records)
    return [text_of(record.exc_info[1]) for record in caplog.records]  # type: ignore[index, arg-type]


async def test_an_error_that_nobody_takes_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "wirehop"):
        File().close()
        assert await reported(caplog) == ["EBADF"]


async def test_an_error_that_a_listener_took_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    taken: list[Exception] = []
    file = File()
    file.on("error", taken.append)
    with caplog.at_level(logging.ERROR, "wirehop"):
        file.close()
        assert await reported(caplog) == []
    assert [text_of(error) for error in taken] == ["EBADF"]


async def test_an_error_that_is_awaited_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "wirehop"):
        await fails(File().close(), errno.EBADF)
        assert await reported(caplog) == []


async def test_a_listener_that_raises_holds_up_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = File()
    with caplog.at_level(logging.ERROR, "wirehop"):
        file.open(tmp_path / "file", "w").add_callback(lambda: 1 / 0)
        await file.write("kept")
        await file.close()
        assert await reported(caplog) == ["division by zero"]
    assert (tmp_path / "file").read_text() == "kept"


# --- reading


async def test_read_gives_bytes_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("añb")
    async with File() as file:
        file.open(tmp_path / "file", "r")
        assert await file.read(2) == b"a\xc3"
        assert await file.read(0) == b""
        assert await file.read(2) == b"\xb1b"
        assert await file.read(0) == b""
        assert await file.read(2) is None
        assert await file.read(2) is None
        file.set_encoding("UTF8")
        assert await file.read(9, 0) == "añb"


async def test_text_is_never_split(tmp_path: Path) -> None:
    text = "añ€\U0001f600z"
    (tmp_path / "file").write_text(text, encoding="utf8")
    for length in range(1, 12):
        async with File(encoding="utf8") as file:
            file.open(tmp_path / "file", "r")
            pieces = []
            while (piece := await file.read(length)) is not None:
                assert piece != ""
                pieces.append(piece)
            assert "".join(pieces) == text
            assert await file.read(0) == ""


async def test_a_character_that_the_end_cuts(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a\xe2\x82")
    async with File(encoding="utf8") as file:
        file.open(tmp_path / "file", "r")
        assert await file.read(1) == "a"
        assert await file.read(0) == ""
        assert await file.read(1) == "\ufffd"
        assert await file.read(1) is None


async def test_a_read_with_a_position_is_decoded_by_itself(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("€uro")
    async with File(encoding="utf8") as file:
        file.open(tmp_path / "file", "r")
        assert await file.read(2, 0) == "\ufffd"
        assert await file.read(3, 0) == "€"
        assert await file.read(4, 3) == "uro"
        assert await file.read(4, 6) is None
        assert await file.read(0, 0) == ""
        assert await file.read(4) == "€u"


async def test_what_the_last_file_left_is_not_read_from_the_next(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"1\xe2")
    (tmp_path / "two").write_bytes(b"2")
    file = File(encoding="utf8")
    file.open(tmp_path / "one", "r")
    assert await file.read(2) == "1"
    file.close()
    file.open(tmp_path / "two", "r")
    assert await file.read(2) == "2"
    await file.close()


async def test_a_read_from_a_pipe_waits(pipe: tuple[int, int]) -> None:
    async with File(fd=pipe[0], encoding="utf8") as file:
        reading = file.read(100)
        os.write(pipe[1], b"\xe2\x82")
        await fs.exists(".")
        os.write(pipe[1], b"\xac!")
        assert await reading == "€!"
        os.close(pipe[1])
        assert await file.read(100) is None


# --- writing


async def test_a_write_is_complete(pipe: tuple[int, int]) -> None:
    """Even where the system takes a part at a time."""
    data = os.urandom(1 << 20)
    os.set_blocking(pipe[1], False)
    file = File(fd=pipe[1])
    writing = file.write(data)
    more = file.print("the end")
    closing = file.close()
    received = b""
    while chunk := await fs.read(pipe[0], 1 << 16):
        received += chunk
    assert received == data + b"the end"
    assert (await writing, await more, await closing) == (1 << 20, 7, None)


async def test_writes_with_positions(tmp_path: Path) -> None:
    async with File() as file:
        file.open(tmp_path / "file", "w")
        file.write("......")
        file.write("b", 1)
        file.write(bytearray(b"d"), 3)
        file.print("!")
        file.write(memoryview(b"e"), 4)
    assert (tmp_path / "file").read_text() == ".b.de.!"


async def test_print_and_puts(tmp_path: Path) -> None:
    async with File(encoding="raw") as file:
        file.open(tmp_path / "file", "w")
        sizes = [file.print("ä"), file.puts("ö"), file.puts(b"\xff"), file.print(7), file.puts(None)]
        assert [await size for size in sizes] == [2, 3, 2, 1, 5]
        assert await file.print("") == 0
    assert (tmp_path / "file").read_bytes() == "äö\n".encode() + b"\xff\n7None\n"


async def test_what_waits_is_written_together() -> None:
    """A pipe of packets shows where one write ended and the next began."""
    r, w = os.pipe2(os.O_DIRECT)
    file = File(fd=w)
    for word in ("first", "second", "third"):
        file.puts(word)
    file.write("fourth")
    file.write("fifth")
    file.print("sixth")
    file.print("seventh")
    await file.close()
    packets = []
    while packet := os.read(r, 4096):
        packets.append(packet)
    os.close(r)
    assert packets == [
        b"first\nsecond\nthird\n"[:6],
        b"second\nthird\n",
        b"fourth",
        b"fifth",
        b"sixthseventh",
    ]


async def test_a_long_text_does_not_leave_with_others(tmp_path: Path) -> None:
    lines = [letter * 50_000 for letter in "abcdef"]
    async with File() as file:
        file.open(tmp_path / "file", "w")
        assert [await size for size in [file.puts(line) for line in lines]] == [50_001] * 6
        file.print("x" * 200_000)
        file.print("y")
    assert (tmp_path / "file").read_text() == "\n".join(lines) + "\n" + "x" * 200_000 + "y"


async def test_what_is_written_together_fails_together(
    pipe: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    os.close(pipe[0])
    file = File(fd=pipe[1])
    recorder = Recorder(file)
    for name in ("first", "second", "third"):
        recorder.note(name, file.puts(name))
    recorder.note("close", file.close())
    with caplog.at_level(logging.ERROR, "wirehop"):
        assert await reported(caplog) == []
    assert recorder.happened == [
        ("first", "EPIPE"),
        ("error", "EPIPE"),
        ("second", "EPIPE"),
        ("third", "EPIPE"),
        ("error", "EPIPE"),
        ("close",),
    ]


async def test_what_fails_together_is_reported_once(
    pipe: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    os.close(pipe[0])
    file = File(fd=pipe[1])
    with caplog.at_level(logging.ERROR, "wirehop"):
        for _ in range(1000):
            file.puts("line")
        file.close()
        assert await reported(caplog) == ["EPIPE"]


async def test_of_what_fails_together_the_written_part_succeeds(tmp_path: Path) -> None:
    """A disk that becomes full, by way of a limit on the size of files: what fitted is written."""
    program = """
    import asyncio, resource, signal
    from wirehop.node.file import File

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))

    async def main():
        file = File()
        file.on("error", lambda error: None)
        file.open("full", "w")
        promises = [file.print("....") for _ in range(4)]
        promises.append(file.close())
        outcomes = []
        for promise in promises:
            try:
                outcomes.append(await promise)
            except OSError as error:
                outcomes.append(error.strerror)
        assert outcomes == [4, 4, "File too large", "File too large", None], outcomes
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    asyncio.run(main())
    """
    ended = await asyncio.to_thread(python, program, tmp_path)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert (tmp_path / "full").read_bytes() == b"." * 10


async def test_the_queue_has_a_limit(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "QUEUE_LIMIT", 300_000)
    writer = File(fd=pipe[1])
    first = writer.write("x" * 400_000)
    with pytest.raises(LimitExceeded, match="more than 300000 bytes would wait"):
        writer.write("y")
    assert len(await fs.read(pipe[0], 1)) == 1
    received = 1
    while received < 400_000:
        received += len(await fs.read(pipe[0], 1 << 16))
    assert await first == 400_000
    # Short ones cost their share too, so that they cannot be without number.
    lines = []
    with pytest.raises(LimitExceeded):
        while True:
            lines.append(writer.puts(""))
    assert 300_000 / 300 < len(lines) < 300_000 / 200
    assert [await line for line in lines] == [1] * len(lines)
    await writer.close()
    assert read_to_end(pipe[0]) == b"\n" * len(lines), "and nothing of what was refused"


async def test_a_full_queue_can_be_left(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "QUEUE_LIMIT", 300_000)
    async with File(fd=pipe[1]) as writer:
        writing = writer.write("x" * 400_000)
        with pytest.raises(LimitExceeded):
            writer.close()
        reading = asyncio.ensure_future(asyncio.to_thread(read_to_end, pipe[0]))
    assert await writing == 400_000
    assert await reading == b"x" * 400_000


# --- contexts


async def test_a_context_does_what_waits_and_closes(tmp_path: Path) -> None:
    async with File() as file:
        file.open(tmp_path / "file", "w")
        file.write("kept")
    assert file.fd is None
    assert (tmp_path / "file").read_text() == "kept"
    with pytest.raises(ZeroDivisionError):
        async with file:
            await file.open(tmp_path / "file", "a")
            file.write(" too")
            raise ZeroDivisionError
    assert file.fd is None
    assert (tmp_path / "file").read_text() == "kept too"


async def test_a_context_of_a_file_that_is_not_open(tmp_path: Path) -> None:
    async with File():
        pass
    async with File() as file:
        await file.open(tmp_path / "file", "w")
        await file.close()
    async with file:
        await fails(file.open(tmp_path / "missing", "r"), errno.ENOENT)


async def test_a_context_ends_what_would_wait(
    pipe: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "wirehop"):
        async with File(fd=pipe[0]) as file:
            reads = [file.read(1) for _ in range(5)]
            forgotten = file.read(1)
            # All that is there is read, and no more.
            os.write(pipe[1], b"a")
            assert await reads[0] == b"a"
        for read in reads[1:]:
            assert "its File is closing" in str(await fails(read, errno.ECANCELED))
        assert forgotten.has_settled
        del forgotten
        assert await reported(caplog) == []
    assert file.fd is None
    with pytest.raises(BrokenPipeError):
        os.write(pipe[1], b"b")


async def test_a_context_ends_when_time_is_out(pipe: tuple[int, int]) -> None:
    with pytest.raises(TimeoutError):
        async with File(fd=pipe[0]) as file, asyncio.timeout(0.01):
            await file.read(1)
    assert file.fd is None


async def test_a_context_waits_for_what_is_being_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("data")
    async with File(encoding="utf8") as file:
        await file.open(tmp_path / "file", "r")
        reading = file.read(10)
    assert await reading == "data"


# --- one File and several loops


async def test_a_file_belongs_to_one_loop_while_it_is_used(pipe: tuple[int, int]) -> None:
    file = File(fd=pipe[0])
    reading = file.read(10)

    async def use() -> None:
        with pytest.raises(RuntimeError, match="in use by another event loop"):
            file.read(10)

    await asyncio.to_thread(asyncio.run, use())
    os.write(pipe[1], b"ours")
    assert await reading == b"ours"

    async def own() -> None:
        os.write(pipe[1], b"theirs")
        assert await file.read(10) == b"theirs"

    await asyncio.to_thread(asyncio.run, own())
    await file.close()


@pytest.mark.parametrize("name", list(LOOPS))
def test_what_a_loop_left_to_be_written_is_written(name: str, pipe: tuple[int, int], tmp_path: Path) -> None:
    """Also what was in a thread when it closed: nothing is lost, and nothing comes twice."""
    data = os.urandom(300_000)
    file = File(fd=pipe[1])

    async def first() -> None:
        file.write(data)
        file.puts("a line")
        file.read(1)
        file.close()
        # A part of it is in the pipe, and a thread waits for room.
        assert len(await fs.read(pipe[0], 10)) == 10

    async def second() -> bytes:
        last = file.puts("the last line")
        received = b""
        while not received.endswith(b"the last line\n"):
            received += await fs.read(pipe[0], 1 << 16)
        assert await last == 14
        return received

    async def third() -> None:
        await file.close()

    run(name, first)
    assert run(name, second) == data[10:] + b"a line\nthe last line\n"
    run(name, third)


def test_what_a_loop_left_counts_for_the_next(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "QUEUE_LIMIT", 300_000)
    writer = File(fd=pipe[1])

    async def first() -> None:
        writer.write(bytes(250_000))

    async def second() -> None:
        one = writer.write(bytes(40_000))
        with pytest.raises(LimitExceeded):
            writer.write(bytes(40_000))
        received = 0
        while received < 290_000:
            received += len(await fs.read(pipe[0], 1 << 16))
        assert await one == 40_000
        other = writer.write(bytes(250_000))
        with pytest.raises(LimitExceeded):
            writer.write(bytes(60_000))
        while received < 540_000:
            received += len(await fs.read(pipe[0], 1 << 16))
        assert await other == 250_000

    asyncio.run(first())
    asyncio.run(second())


@pytest.mark.parametrize("is_taken", [False, True])
def test_what_a_loop_left_and_cannot_be_written(
    is_taken: bool, pipe: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody holds its promise any more, so it is reported unless a listener takes it."""
    file = File(fd=pipe[1])
    errors: list[str] = []
    if is_taken:
        file.on("error", lambda error: errors.append(text_of(error)))

    async def leave() -> None:
        # More than the pipe holds: the thread is still at it when the loop closes.
        file.write(bytes(1 << 20))

    async def use() -> None:
        await fails(file.write("more"), errno.EPIPE)

    with caplog.at_level(logging.ERROR, "wirehop"):
        asyncio.run(leave())
        os.close(pipe[0])
        asyncio.run(use())
    messages = [record.message for record in caplog.records]
    assert messages == ([] if is_taken else ["what another loop left was not written"])
    assert errors == (["EPIPE", "EPIPE"] if is_taken else [])


# --- the standard streams


def python(program: str, cwd: Path | None = None, **options: Any) -> subprocess.CompletedProcess[bytes]:
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=cwd,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
        **options,
    )


def test_the_helpers() -> None:
    program = """
    import asyncio
    from datetime import UTC, datetime
    from wirehop.node.file import debug, p, print, puts, stderr, stdin, stdout

    async def main():
        puts("grüß dich")
        print("no newline, ")
        print(3)
        puts("")
        p({"a": [1, None, "ü"], "at": datetime(2009, 6, 30, tzinfo=UTC)})
        stderr.puts("waits")
        debug("comes first")
        debug("\\ud800")
        stdin.set_encoding("utf8")
        puts(await stdin.read(100))
        assert (stdin.fd, stdout.fd, stderr.fd) == (0, 1, 2)
        assert await stdin.read(100) is None
        try:
            p(object())
        except TypeError as error:
            assert await puts(error) > 10

    asyncio.run(main())
    """
    ended = python(program, input=b"eingegeben")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.decode() == (
        "grüß dich\nno newline, 3\n"
        '{"a":[1,null,"ü"],"at":"2009-06-30T00:00:00.000Z"}\n'
        "eingegeben\nobject cannot be sent as JSON\n"
    )
    first, second, *rest = sorted(ended.stderr.decode().splitlines())
    assert (first, second, rest) == ("DEBUG: \\ud800", "DEBUG: comes first", ["waits"])


def test_debug_without_a_loop_and_without_a_standard_error() -> None:
    program = """
    from wirehop.node.file import debug
    import os
    debug("here")
    os.close(2)
    try:
        debug("nowhere")
    except OSError as error:
        os._exit(error.errno)
    """
    ended = python(program)
    assert (ended.returncode, ended.stderr) == (errno.EBADF, b"DEBUG: here\n")


def test_debug_when_the_standard_error_was_closed() -> None:
    program = """
    import asyncio, os
    from wirehop.node.file import debug, stderr

    async def main():
        await stderr.close()
        try:
            debug("nowhere")
        except OSError as error:
            os._exit(error.errno)

    asyncio.run(main())
    """
    assert python(program).returncode == errno.EBADF


FLUSH = """
import asyncio, os, sys
from wirehop.node.file import debug, flush_now, print, puts, stderr, stdout

async def main():
    for number in range(50_000):
        puts(number)
    stdout.write("written\\n")
    print("printed\\n")
    stdout.on("error", lambda error: None)
    stdout.read(0)
    stderr.puts("of stderr")
    {more}
    # A thread is in the middle of a write, and waits for a reader that the next line calls.
    await asyncio.sleep(0)
    flush_now()
    {after}
    os._exit(7)

with asyncio.Runner({options}) as runner:
    runner.run(main())
"""

FLUSHED = "".join(f"{number}\n" for number in range(50_000)) + "written\nprinted\n"


def flushing(name: str = "asyncio", more: str = "", after: str = "") -> str:
    options = "loop_factory=__import__('uvloop').new_event_loop" if name == "uvloop" else ""
    return FLUSH.format(options=options, more=more, after=after)


@pytest.mark.parametrize("name", list(LOOPS))
def test_flush_now_writes_everything_once(name: str) -> None:
    for _ in range(3):
        ended = python(flushing(name))
        assert (ended.returncode, ended.stderr) == (7, b"of stderr\n")
        assert ended.stdout.decode() == FLUSHED


@pytest.mark.parametrize("name", list(LOOPS))
def test_flush_now_while_a_thread_is_stuck_in_a_write(name: str) -> None:
    """The reader begins only when the program has said that it is about to flush."""
    program = flushing(name, more="await asyncio.to_thread(wait_for_a_full_pipe); debug('now')")
    program = program.replace(
        "async def main",
        textwrap.dedent(
            """
            import fcntl, termios, time, struct

            def wait_for_a_full_pipe():
                while struct.unpack("i", fcntl.ioctl(1, termios.FIONREAD, bytes(4)))[0] < 60_000:
                    time.sleep(0.001)

            async def main"""
        ),
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stderr is not None
    assert child.stdout is not None
    try:
        lines = {child.stderr.readline(), child.stderr.readline()}
        assert lines == {b"DEBUG: now\n", b"of stderr\n"}
        assert child.stdout.read().decode() == FLUSHED
        assert child.wait(60) == 7
    finally:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("name", list(LOOPS))
def test_a_program_may_go_on_after_flush_now(name: str) -> None:
    program = flushing(name, after="await puts('and more'); await stdout.close(); flush_now()")
    ended = python(program)
    assert (ended.returncode, ended.stderr) == (7, b"of stderr\n")
    assert ended.stdout.decode() == FLUSHED + "and more\n"


def test_flush_now_stops_where_the_stream_is_closed() -> None:
    ended = python(flushing(more="stdout.close(); puts('too late'); stderr.on('error', lambda error: None)"))
    assert (ended.returncode, ended.stderr) == (7, b"of stderr\n")
    assert ended.stdout.decode() == FLUSHED


def test_flush_now_when_nobody_reads() -> None:
    r, w = os.pipe()
    os.close(r)
    try:
        ended = python(flushing(), stdout=w)
    finally:
        os.close(w)
    assert (ended.returncode, ended.stderr) == (7, b"of stderr\n")


def test_flush_now_to_a_full_disk() -> None:
    with open("/dev/full", "wb") as full:
        ended = python(flushing(), stdout=full)
    assert ended.returncode == 7
    assert b"of stderr\n" in ended.stderr
    assert ended.stderr.count(b"output was lost at the end: [Errno 28] No space left on device") == 1


def test_flush_now_after_the_loop() -> None:
    program = """
    import asyncio
    from wirehop.node.file import flush_now, puts

    async def main():
        for number in range(1000):
            puts(number)

    asyncio.run(main())
    flush_now()
    flush_now()
    """
    ended = python(program)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.decode() == "".join(f"{number}\n" for number in range(1000))


def test_json_is_printed_for_stats() -> None:
    program = """
    import asyncio
    from wirehop.node import fs
    from wirehop.node.file import p

    async def main():
        await p(await fs.stat("."))

    asyncio.run(main())
    """
    ended = python(program)
    assert ended.stderr == b""
    assert json.loads(ended.stdout)["ino"] == os.stat(".").st_ino


def run(name: str, main: Callable[[], Any]) -> Any:
    with asyncio.Runner(loop_factory=LOOPS[name]) as runner:
        return runner.run(main())
