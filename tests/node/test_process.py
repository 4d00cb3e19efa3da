from __future__ import annotations

import asyncio
import errno
import fcntl
import gc
import logging
import os
import resource
import select
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import LOOPS
from tests.raw import until
from wirehop.core.events import uncaught
from wirehop.core.turns import LARGE, SHARE
from wirehop.errors import ConnectionClosed, LimitExceeded
from wirehop.node import alive, pipes
from wirehop.node.process import SIGNALS, Process, create_process


class Recorder:
    """A child, with everything that happened to it."""

    def __init__(self, child: Process) -> None:
        self.child = child
        self.events: list[tuple[str, Any]] = []
        for event in ("output", "error", "exit"):
            child.on(event, lambda value, event=event: self.events.append((event, value)))

    def of(self, event: str) -> list[Any]:
        return [value for name, value in self.events if name == event]

    def text(self, event: str = "output") -> str:
        return "".join(value for value in self.of(event) if value is not None)

    async def until_text(self, text: str, event: str = "output") -> None:
        await until(lambda: self.text(event) == text)


def record(command: Any) -> Recorder:
    return Recorder(create_process(command))


def python(program: str) -> list[str]:
    return [sys.executable, "-S", "-c", textwrap.dedent(program)]


def open_descriptors() -> int:
    # The listing has one of its own, before as after.
    return len(os.listdir("/proc/self/fd"))


def has_children() -> bool:
    """Whether this process has a child, be it a zombie. (Nothing is reaped by asking.)"""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def wait_for_death(pid: int) -> None:
    """Block until a child has died. It is not reaped, and its loop hears of it later."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


# --- the four programs of the seed's own suite


async def test_seed_buffering() -> None:
    results = []

    def pwd(callback: Callable[[str], None]) -> None:
        output = ""
        child = create_process("pwd")

        @child.on("output")
        def got(data: str | None) -> None:
            nonlocal output
            if data:
                output += data

        @child.on("exit")
        def exited(code: int) -> None:
            assert code == 0
            callback(output)

    pwd(results.append)
    await alive.wait_until_idle()
    assert results == [os.getcwd() + "\n"]


async def test_seed_kill() -> None:
    cat = record("cat")
    cat.child.kill()
    await alive.wait_until_idle()
    assert cat.of("output") == [None]
    assert cat.of("error") == [None]
    [status] = cat.of("exit")
    assert status > 0


async def test_seed_simple() -> None:
    cat = record("cat")

    @cat.child.on("output")
    def output(_: str | None) -> None:
        if cat.text() == "hello world":
            cat.child.close()

    cat.child.write("hello")
    cat.child.write(" ")
    cat.child.write("world")
    await alive.wait_until_idle()
    assert cat.text() == "hello world"
    assert cat.of("error") == [None]
    assert cat.of("exit") == [0]


async def test_seed_spawn_loop() -> None:
    size = 500 * 1024
    outputs: list[str] = []

    def spawn(number: int) -> None:
        child = record(f"head -c {size} /dev/zero | tr '\\0' C")

        @child.child.on("exit")
        def exited(code: int) -> None:
            outputs.append(child.text())
            if number < 40:
                spawn(number + 1)

    spawn(0)
    await alive.wait_until_idle()
    assert outputs == [size * "C"] * 41


# --- the events


async def test_the_order_of_the_events() -> None:
    echo = record("echo said; echo complained >&2; exit 3")
    assert await echo.child == 3
    assert echo.text() == "said\n"
    assert echo.text("error") == "complained\n"
    assert [name for name, value in echo.events if value is None].count("output") == 1
    assert [name for name, value in echo.events if value is None].count("error") == 1
    assert echo.events[-1] == ("exit", 3)
    assert echo.of("exit") == [3]
    assert echo.of("output")[-1] is None
    assert echo.of("error")[-1] is None


@pytest.mark.parametrize("code", [0, 1, 255])
async def test_the_exit_code(code: int) -> None:
    child = create_process(f"exit {code}")
    assert child.exit_code is None
    assert await child == code
    assert await child.wait() == code
    assert (child.exit_code, child.signal) == (code, None)


@pytest.mark.parametrize(
    ("how", "number"),
    [((), 15), ((signal.SIGKILL,), 9), ((9,), 9), (("SIGUSR1",), signal.SIGUSR1), (("sigterm",), 15)],
)
async def test_killed_by_a_signal(how: tuple[Any, ...], number: int) -> None:
    cat = record(["cat"])
    cat.child.kill(*how)
    assert await cat.child == 128 + number
    assert (cat.child.exit_code, cat.child.signal) == (None, number)
    assert cat.of("exit") == [128 + number]


async def test_a_child_that_ignores_sigterm() -> None:
    stubborn = record("trap '' TERM; echo ready; while read line; do echo $line; done")
    await stubborn.until_text("ready\n")
    stubborn.child.kill()
    stubborn.child.write("still here\n")
    await stubborn.until_text("ready\nstill here\n")
    stubborn.child.kill("SIGKILL")
    assert await stubborn.child == 137


async def test_a_sequence_is_run_without_a_shell() -> None:
    echo = record(("printf", "%s,", "$HOME; exit 1", "*"))
    assert await echo.child == 0
    assert echo.text() == "$HOME; exit 1,*,"


async def test_a_child_that_closes_its_stdout_early() -> None:
    child = record("exec >&-; read line; echo $line >&2; exit 4")
    await until(lambda: child.events)
    assert child.events == [("output", None)]
    await child.child.write("go\n")
    assert await child.child == 4
    assert child.events[0] == ("output", None)
    assert child.of("output") == [None]
    assert child.text("error") == "go\n"
    assert child.events[-1] == ("exit", 4)


async def test_a_grandchild_that_keeps_the_pipes_delays_the_exit() -> None:
    child = record("sleep 60 & echo $!; exit 5")
    await until(lambda: child.child.exit_code is not None)
    assert child.child.exit_code == 5
    assert not exists(child.child.pid), "reaped all the same"
    await until(lambda: child.text().endswith("\n"))
    assert child.of("exit") == []
    with pytest.raises(ProcessLookupError):
        child.child.kill()
    os.kill(int(child.text()), signal.SIGKILL)
    assert await child.child == 5
    assert child.events[-1] == ("exit", 5)


async def test_a_waiter_that_gives_up_stops_no_other() -> None:
    cat = create_process("cat")
    first = asyncio.ensure_future(cat.wait())
    second = asyncio.ensure_future(cat.wait())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    cat.close()
    assert await second == 0
    assert first.cancelled()


async def test_the_exit_listener_finds_the_code_and_a_closed_stdin() -> None:
    found: list[Any] = []
    child = create_process("exit 7")

    @child.on("exit")
    async def exited(code: int) -> None:
        found.append(await child)
        with pytest.raises(ConnectionClosed, match="stdin is closed"):
            child.write("too late")
        with pytest.raises(ProcessLookupError):
            child.kill()
        found.append(code)

    await child
    await until(lambda: len(found) == 2)
    assert found == [7, 7]


# --- what it says


async def test_a_character_in_two_pieces() -> None:
    halves = record(
        python(r"""
            import os
            for half in b"\xc3", b"\xa9":
                os.write(1, half)
                os.write(2, b"half")
                os.read(0, 1)
            """)
    )
    await halves.until_text("half", "error")
    # What came to stdout before is read in the same turn.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert halves.of("output") == []
    halves.child.write("\n")
    await halves.until_text("halfhalf", "error")
    halves.child.write("\n")
    assert await halves.child == 0
    assert halves.of("output") == ["é", None]


async def test_characters_across_the_edges_of_reads() -> None:
    text = "a" + 200_000 * "é€😀"
    cat = record("cat")
    cat.child.write(text)
    cat.child.close()
    await cat.child
    assert cat.text() == text


async def test_what_is_no_text() -> None:
    child = record(r"printf 'a\377b\303'; printf '\200' >&2")
    await child.child
    assert child.text() == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
    assert child.text("error") == "\N{REPLACEMENT CHARACTER}"


async def test_bytes() -> None:
    child = record(r"printf '\377\303'; printf '\200' >&2")
    child.child.set_encoding("RAW")
    await child.child
    assert b"".join(child.of("output")[:-1]) == b"\xff\xc3"
    assert child.of("error") == [b"\x80", None]


async def test_an_encoding_that_changes_within_a_character() -> None:
    child = record(r"printf 'x\303'; read line; printf '\251y'")
    await child.until_text("x")
    child.child.set_encoding("raw")
    assert child.of("output") == ["x", "\N{REPLACEMENT CHARACTER}"]
    child.child.write("\n")
    await child.child
    assert child.of("output")[2:] == [b"\xa9y", None]


async def test_an_unknown_encoding() -> None:
    async with create_process("cat") as cat:
        with pytest.raises(ValueError, match="latin-1"):
            cat.set_encoding("latin-1")


async def test_reading_can_be_paused() -> None:
    child = record("echo said; echo complained >&2")
    child.child.pause()
    child.child.pause()
    await until(lambda: child.child.exit_code is not None)
    assert child.events == []
    child.child.resume()
    child.child.resume()
    assert await child.child == 0
    assert (child.text(), child.text("error")) == ("said\n", "complained\n")
    child.child.pause()
    child.child.resume()


async def test_a_child_whose_output_is_not_read_waits() -> None:
    child = record("head -c 1000000 /dev/zero; echo done >&2")
    child.child.set_encoding("raw")
    seen: list[int] = []

    @child.child.on("output")
    def output(data: bytes | None) -> None:
        if data is not None:
            seen.append(len(data))
            child.child.pause()
            asyncio.get_running_loop().call_soon(child.child.resume)

    assert await child.child == 0
    assert sum(seen) == 1_000_000
    assert max(seen) <= pipes.READ_SIZE


async def test_a_pipe_that_somebody_else_has_emptied() -> None:
    before = set(os.listdir("/proc/self/fd"))
    child = record("echo said; echo complained >&2; read line; exit 3")
    new = [int(fd) for fd in set(os.listdir("/proc/self/fd")) - before if exists_descriptor(fd)]
    ends = [fd for fd in new if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY]
    assert len(ends) == 2

    def steal(data: str | None) -> None:
        for fd in ends if data else []:
            with suppress(BlockingIOError):
                os.read(fd, 100)

    child.child.on("output", steal)
    child.child.on("error", steal)
    # Both have something before the loop looks.
    for fd in ends:
        select.select([fd], [], [])
    await until(lambda: child.events)
    child.child.write("\n")
    assert await child.child == 3
    assert sorted([child.text(), child.text("error")]) in (["", "complained\n"], ["", "said\n"])


def exists_descriptor(fd: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")


# --- what it is told


async def test_ten_mebibytes_both_ways_with_backpressure() -> None:
    data = os.urandom(10 << 20)
    cat = record(["cat"])
    cat.child.set_encoding("raw")
    for at in range(0, len(data), 100_000):
        await cat.child.write(data[at : at + 100_000])
    cat.child.close()
    assert await cat.child == 0
    assert b"".join(cat.of("output")[:-1]) == data


async def test_writing_waits_for_a_slow_child() -> None:
    cat = record(["cat"])
    cat.child.pause()
    cat.child.write(bytes(4 << 20))

    async def drained() -> None:
        await cat.child.write("")

    waiting = [asyncio.ensure_future(drained()) for _ in range(3)]
    # No more than a few pipes full can leave.
    for _ in range(100):
        await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    waiting[0].cancel()
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting[1:])
    cat.child.resume()
    await asyncio.gather(*waiting[1:])
    cat.child.close()
    assert await cat.child == 0
    assert len(cat.text()) == 4 << 20


@pytest.mark.parametrize("size", [200, LARGE, 100_000])
async def test_who_writes_in_a_loop_lets_others_have_their_turn(size: int) -> None:
    async with create_process("exec cat > /dev/null") as child:
        loop = asyncio.get_running_loop()
        written = most = 0

        async def write() -> None:
            nonlocal written
            for _ in range((8 << 20) // size):
                await child.write(bytes(size))
                written += size

        async def look() -> None:
            nonlocal most
            was = written
            while not writing.done():
                await asyncio.sleep(0)
                most = max(most, written - was)
                was = written

        writing = loop.create_task(write())
        await look()
        await writing
        assert written > 8_000_000
        assert most <= SHARE + LARGE + size


async def test_writing_goes_on_when_all_was_taken() -> None:
    cat = record("cat")
    for text in 300_000 * "a", 300_000 * "b", "c":
        before = cat.text()
        cat.child.write(text)
        await cat.until_text(before + text)
    cat.child.close()
    assert await cat.child == 0


async def test_a_write_below_the_high_water_waits_for_nothing() -> None:
    async with create_process(["sleep", "60"]) as sleep:
        await sleep.write(bytes(1 << 19))


async def test_more_than_the_limit_is_refused_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pipes.WRITE_LIMIT == 64 << 20
    monkeypatch.setattr(pipes, "WRITE_LIMIT", 3_000_000)
    cat = record(["cat"])
    cat.child.pause()
    with pytest.raises(LimitExceeded, match="3000000"):
        cat.child.write(bytes(3_000_001))
    cat.child.write(3_000_000 * "a")
    with pytest.raises(LimitExceeded):
        cat.child.write(3_000_000 * "b")
    cat.child.resume()
    await cat.child.write("c")
    cat.child.close()
    await cat.child
    assert cat.text() == 3_000_000 * "a" + "c"


async def test_what_was_written_before_the_close_arrives() -> None:
    count = record("sleep 0.01; wc -c")
    count.child.write(bytes(2 << 20))
    count.child.close()
    count.child.close()
    with pytest.raises(ConnectionClosed, match="stdin is closed"):
        count.child.write("more")
    assert await count.child == 0
    assert int(count.text()) == 2 << 20


async def test_writing_after_the_close_raises() -> None:
    cat = create_process("cat")
    last = cat.write("x")
    cat.close()
    with pytest.raises(ConnectionError, match="stdin is closed"):
        cat.write("")
    await last
    assert await cat == 0


async def test_what_can_be_written() -> None:
    cat = record("cat")
    cat.child.write("é")
    cat.child.write("a", "ASCII")
    cat.child.write(b"b", "raw")
    cat.child.write(bytearray(b"c"))
    cat.child.write(memoryview(b"d"))
    with pytest.raises(ValueError, match="ascii"):
        cat.child.write("é", "ascii")
    with pytest.raises(ValueError, match="utf-16"):
        cat.child.write("e", "utf-16")
    with pytest.raises(TypeError):
        cat.child.write("f", "raw")
    with pytest.raises(TypeError):
        cat.child.write(5)  # type: ignore[arg-type]
    cat.child.close()
    await cat.child
    assert cat.text() == "éabcd"


async def test_a_child_that_has_closed_its_stdin(caplog: pytest.LogCaptureFixture) -> None:
    child = record("exec <&-; echo closed; exec sleep 60")
    await child.until_text("closed\n")
    with pytest.raises(ConnectionClosed, match="does not read its stdin"):
        await child.child.write("anybody?")
    unheard = child.child.write("nobody")
    with pytest.raises(ConnectionClosed):
        await unheard
    child.child.write("and nobody awaits this")
    child.child.close()
    with pytest.raises(ConnectionClosed, match="stdin is closed"):
        child.child.write("closed on this side too")
    child.child.kill()
    assert await child.child == 143
    assert caplog.records == []


async def test_a_child_that_closes_its_stdin_while_a_write_waits(caplog: pytest.LogCaptureFixture) -> None:
    child = record("head -c 1000 >/dev/null; exec <&-; echo closed; exec sleep 60")
    with pytest.raises(ConnectionClosed, match="does not read its stdin"):
        await child.child.write(bytes(4 << 20))
    await child.until_text("closed\n")
    child.child.kill()
    assert await child.child == 143
    assert caplog.records == []


async def test_a_child_that_dies_while_a_write_waits(caplog: pytest.LogCaptureFixture) -> None:
    child = create_process("head -c 1000 >/dev/null; exit 1")
    with pytest.raises(ConnectionClosed):
        await child.write(bytes(4 << 20))
    assert await child == 1
    unawaited = create_process("exit 2")
    unawaited.write(bytes(4 << 20))
    unawaited.close()
    assert await unawaited == 2
    assert caplog.records == []


async def test_the_child_of_a_killed_shell_gets_the_end_of_its_stdin() -> None:
    child = record("cat; true")
    child.child.write("ready")
    await child.until_text("ready")
    child.child.kill("SIGKILL")
    assert await child.child == 137


async def test_a_grandchild_that_keeps_stdin_does_not_delay_the_exit() -> None:
    child = record("exec 3<&0; sleep 60 >/dev/null 2>&1 & echo $!")
    sent = child.child.write(bytes(4 << 20))
    try:
        assert await child.child == 0
        with pytest.raises(ConnectionClosed, match="the child has ended"):
            await sent
        with pytest.raises(ConnectionClosed, match="stdin is closed"):
            child.child.write("more")
    finally:
        os.kill(int(child.text()), signal.SIGKILL)


# --- kill


async def test_signals_that_are_none() -> None:
    async with create_process("cat") as cat:
        with pytest.raises(ValueError, match="SIGNOTHING"):
            cat.kill("SIGNOTHING")
        with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
            cat.kill(12345)
        with pytest.raises(TypeError):
            cat.kill(15.5)  # type: ignore[arg-type]
        cat.kill(0)
        cat.close()
        assert await cat == 0


async def test_killing_the_dead_raises() -> None:
    child = create_process("exit 3")
    wait_for_death(child.pid)
    with pytest.raises(ProcessLookupError, match="has ended"):
        child.kill()
    assert await child == 3
    with pytest.raises(ProcessLookupError, match="has ended"):
        child.kill(0)


def test_the_signals_have_the_names_of_the_system() -> None:
    names = {name for name in dir(signal) if name.startswith("SIG") and not name.startswith("SIG_")}
    assert set(SIGNALS) == names
    assert (SIGNALS["SIGTERM"], SIGNALS["SIGKILL"]) == (15, 9)
    assert all(type(number) is int for number in SIGNALS.values())


# --- contexts


async def test_a_context_kills_what_is_left() -> None:
    with pytest.raises(ZeroDivisionError):
        async with create_process("cat") as cat:
            recorder = Recorder(cat)
            waiting = cat.write(bytes(4 << 20))
            raise ZeroDivisionError
    assert not exists(cat.pid)
    assert cat.signal == signal.SIGKILL
    assert recorder.of("exit") == [137]
    assert sorted(name for name, value in recorder.events if value is None) == ["error", "output"]
    with pytest.raises(ConnectionClosed, match="the child has ended"):
        await waiting


async def test_a_context_does_not_wait_for_grandchildren() -> None:
    async with create_process("sleep 60 & echo $!; cat") as child:
        recorder = Recorder(child)
        await until(lambda: recorder.text().endswith("\n"))
    os.kill(int(recorder.text()), signal.SIGKILL)
    assert await child == 137
    assert recorder.events[-1] == ("exit", 137)


async def test_a_context_of_a_child_that_has_ended() -> None:
    async with create_process("exit 6") as child:
        assert await child == 6
    assert child.exit_code == 6


# --- what cannot be started


@contextmanager
def nothing_left() -> Iterator[None]:
    before = open_descriptors()
    assert not has_children()
    yield
    assert not has_children()
    assert open_descriptors() == before


async def test_a_program_that_there_is_not() -> None:
    with nothing_left(), pytest.raises(FileNotFoundError, match="/no/such/program"):
        create_process(["/no/such/program"])
    child = record("/no/such/program")
    assert await child.child == 127
    assert "/no/such/program" in child.text("error")


async def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    with nothing_left(), pytest.raises(PermissionError):
        create_process([tmp_path / "text"])


async def test_too_long_an_argument_list() -> None:
    with nothing_left(), pytest.raises(OSError, match=os.strerror(errno.E2BIG)):
        create_process(["true", 4_000_000 * "x"])


async def test_no_descriptors_left() -> None:
    with nothing_left():
        free = os.dup(0)
        os.close(free)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + 4, hard))
        try:
            with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
                create_process(["true"])
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_no_thread_left_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    without_pidfd(monkeypatch)
    monkeypatch.setattr(threading.Thread, "start", start)
    with nothing_left(), pytest.raises(OSError, match="can't start new thread") as raised:
        create_process("cat")
    assert raised.value.errno == errno.EAGAIN


async def test_commands_that_are_none() -> None:
    with nothing_left():
        with pytest.raises(ValueError, match="program"):
            create_process([])
        with pytest.raises(ValueError, match="null byte"):
            create_process("echo \0")
        with pytest.raises(TypeError):
            create_process(b"true")  # type: ignore[arg-type]


def test_without_a_loop() -> None:
    with nothing_left(), pytest.raises(RuntimeError, match="no running event loop"):
        create_process("true")


# --- listeners


async def test_a_listener_that_raises_is_logged_and_is_no_stderr(caplog: pytest.LogCaptureFixture) -> None:
    counted: list[Exception] = []
    uncaught.of(asyncio.get_running_loop()).call = counted.append
    child = create_process("echo said; echo complained >&2; exit 1")
    child.on("output", lambda _: 1 / 0)
    recorder = Recorder(child)

    @child.on("exit")
    async def exited(_: int) -> None:
        await asyncio.sleep(0)
        raise KeyError("late")

    await child
    await until(lambda: len(counted) == 3)
    assert recorder.text("error") == "complained\n"
    assert recorder.of("error")[-1] is None
    assert recorder.text() == "said\n"
    assert recorder.of("exit") == [1]
    assert [type(error) for error in counted] == [ZeroDivisionError, ZeroDivisionError, KeyError]
    assert [record.levelno for record in caplog.records] == 3 * [logging.ERROR]
    assert {record.name for record in caplog.records} == {"wirehop.node"}


async def test_an_error_listener_that_raises_is_called_once(caplog: pytest.LogCaptureFixture) -> None:
    child = create_process("true")
    calls: list[Any] = []

    @child.on("error")
    def error(data: str | None) -> None:
        calls.append(data)
        raise ZeroDivisionError

    assert await child == 0
    assert calls == [None]
    assert len(caplog.records) == 1


# --- nothing is left behind


async def test_two_hundred_children_one_after_the_other() -> None:
    before = open_descriptors()
    for number in range(200):
        child = create_process([["true"], ["false"]][number % 2])
        assert await child == number % 2
        assert not has_children()
        assert open_descriptors() == before


async def test_fifty_children_at_once() -> None:
    before = open_descriptors()
    children = [record(["cat"]) for _ in range(50)]
    for number, child in enumerate(children):
        child.child.write(f"{number}" * 50_000)
        child.child.close()
    assert await asyncio.gather(*(child.child.wait() for child in children)) == 50 * [0]
    for number, child in enumerate(children):
        assert child.text() == f"{number}" * 50_000
    assert not has_children()
    assert open_descriptors() == before


async def test_a_child_that_everybody_forgets() -> None:
    ended = asyncio.get_running_loop().create_future()
    create_process("read line; exit 9").on("exit", ended.set_result)
    gc.collect()
    [pid] = children_of_this_process()
    os.kill(pid, signal.SIGTERM)
    assert await ended == 143
    assert not has_children()


def children_of_this_process() -> list[int]:
    tasks = Path("/proc/self/task")
    return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]


async def test_what_a_child_inherits() -> None:
    async with create_process("cat"):
        assert await output_of("ls /proc/self/fd") == "0\n1\n2\n3\n", "3 is the folder that ls reads"
        lines = (await output_of("cat /proc/self/status")).splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    assert int(status["SigBlk"], 16) == 0
    assert int(status["SigIgn"], 16) & 1 << (signal.SIGPIPE - 1) == 0


async def output_of(command: str) -> str:
    recorder = record(command)
    assert await recorder.child == 0
    return recorder.text()


async def test_it_keeps_its_program_alive() -> None:
    codes: list[int] = []

    def exited(code: int) -> None:
        codes.append(code)
        if len(codes) < 3:
            create_process(f"exit {len(codes)}").on("exit", exited)

    create_process("exit 0").on("exit", exited)
    await alive.wait_until_idle()
    assert codes == [0, 1, 2]


# --- loops that end before their children


def run_and_leave(loop_name: str, begin: Callable[[], Any]) -> Any:
    async def main() -> Any:
        return begin()

    loop = (LOOPS[loop_name] or asyncio.new_event_loop)()
    try:
        return loop.run_until_complete(main())
    finally:
        loop.close()


def wait_until(is_true: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.fixture(params=LOOPS)
def any_loop(request: pytest.FixtureRequest) -> str:
    # uvloop keeps two descriptors for signals from its first loop on.
    run_and_leave(request.param, lambda: None)
    return str(request.param)


@pytest.mark.parametrize("is_held", [True, False])
def test_a_child_of_a_loop_that_is_closed_ends_by_its_stdin(any_loop: str, is_held: bool) -> None:
    before = open_descriptors()
    cat = run_and_leave(any_loop, lambda: create_process(["cat"]))
    assert open_descriptors() == before, "its pipes are closed"
    pid = cat.pid
    if not is_held:
        del cat
    wait_until(lambda: not exists(pid))
    wait_until(lambda: not has_children())
    if is_held:
        with pytest.raises(ProcessLookupError):
            cat.kill()


def test_a_child_of_a_loop_that_is_closed_lives_on(any_loop: str, tmp_path: Path) -> None:
    done = tmp_path / "done"
    run_and_leave(any_loop, lambda: create_process(f"while read x; do :; done; echo > '{done}'"))
    wait_until(done.exists)
    wait_until(lambda: not has_children())


def test_a_child_of_a_loop_that_is_closed_can_be_killed(any_loop: str) -> None:
    sleep = run_and_leave(any_loop, lambda: create_process(["sleep", "60"]))
    sleep.kill()
    wait_until(lambda: not has_children())


def test_a_child_that_died_unheard_before_its_loop_was_closed(any_loop: str) -> None:
    def begin() -> None:
        wait_for_death(create_process(["true"]).pid)

    threads = threading.active_count()
    run_and_leave(any_loop, begin)
    assert not has_children()
    assert threading.active_count() == threads


@pytest.mark.parametrize("is_known", [True, False])
def test_a_loop_that_is_closed_when_no_thread_can_be_started(
    any_loop: str, is_known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(thread: threading.Thread) -> None:
        assert not is_known, "it would hang"
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(sys, "is_finalizing", lambda: is_known)

    monkeypatch.setattr(threading.Thread, "start", start)
    before = open_descriptors()
    cat = run_and_leave(any_loop, lambda: create_process(["cat"]))
    assert open_descriptors() == before
    assert os.waitpid(cat.pid, 0) == (cat.pid, 0)


def test_loops_one_after_the_other_and_in_threads(any_loop: str) -> None:
    codes: list[int] = []

    async def main() -> None:
        codes.append(await create_process("exit 4"))

    def run() -> None:
        with asyncio.Runner(loop_factory=LOOPS[any_loop]) as runner:
            runner.run(main())

    for _ in range(2):
        run()
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    assert codes == [4, 4, 4, 4]
    assert not has_children()


@pytest.mark.parametrize("close", ["loop.close()", "", "loop = None", "os._exit(0)"])
def test_a_program_that_ends_before_its_child_says_nothing(close: str) -> None:
    program = f"""
        import asyncio, os, sys
        from wirehop.node.process import create_process

        async def main():
            create_process(["cat"])
            child = create_process("exec >&- 2>&-; while read x; do :; done")

        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        {close}
        """
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:unclosed event loop", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


# --- systems that lack something


def without_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    def pidfd_open(pid: int) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "pidfd_open", pidfd_open)


@pytest.mark.parametrize("lacking", [["pidfd_open"], ["pidfd_open", "waitid"], []])
async def test_where_a_thread_waits(lacking: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with nothing_left(), monkeypatch.context() as patch:
        for name in lacking:
            patch.delattr(os, name)
        if not lacking:
            without_pidfd(patch)
        children = [record(f"read line; echo $line; exit {number}") for number in range(5)]
        for child in children:
            child.child.write("hello\n")
        assert await asyncio.gather(*(child.child.wait() for child in children)) == [0, 1, 2, 3, 4]
        assert [child.text() for child in children] == 5 * ["hello\n"]
        with pytest.raises(ProcessLookupError):
            children[0].child.kill()
        cat = create_process("cat")
        cat.kill()
        assert await cat == 143
        await until(lambda: not any(thread.name == "wirehop-child" for thread in threading.enumerate()))


def test_where_a_thread_waits_and_the_loop_is_closed(any_loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_pidfd(monkeypatch)
    before = open_descriptors()
    run_and_leave(any_loop, lambda: create_process(["cat"]))
    wait_until(lambda: not has_children())
    wait_until(lambda: open_descriptors() == before)


@pytest.mark.parametrize("has_pidfd", [True, False])
async def test_a_child_that_the_system_reaps(has_pidfd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_pidfd:
        without_pidfd(monkeypatch)
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        child = record("read line; exit 0")
        child.child.close()
        assert await child.child == 255, "nobody can say what it was, so it is no success"
        with pytest.raises(ProcessLookupError):
            child.child.kill()
    finally:
        signal.signal(signal.SIGCHLD, before)


async def test_a_death_that_a_debugger_hears_of_first(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    waitpid = os.waitpid

    def later(pid: int, options: int) -> tuple[int, int]:
        looks.append(pid)
        return (0, 0) if len(looks) < 3 else waitpid(pid, options)

    monkeypatch.setattr(os, "waitpid", later)
    child = create_process("exit 8")
    assert await child == 8
    assert looks == 3 * [child.pid]
