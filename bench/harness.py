"""One measurement: a server on one core, a load generator on another, and what both tell.

Every measurement starts its server afresh. A process has luck of its own (the layout of its
memory, what its compiler chose to optimise and when), and over fresh processes the median rides
out that luck; the memory then belongs to one known load; and no idle neighbour shares the core.
The price, warming up again each time, is a few seconds.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

from kinds import GrowthScenario, IdleLoad, Program, Scenario, Server

BENCH = Path(__file__).resolve().parent
NODE_PATH = os.environ.get("NODE_PATH") or str(BENCH.parent / "tests" / "interop" / "node" / "node_modules")
START_SECONDS = 10.0
STOP_SECONDS = 5.0
MEMORY_IS_READ_AT = 0.9
"""Share of the measured window after which the server's memory is read, still under load."""


IDLE_SECONDS = 60.0
"""For all idle connections to be there, and answered once."""
GROWTH_SECONDS = 2.0
"""Of load, after which it is looked how many requests that were."""
SETTLE_SECONDS = 0.5
"""Before the memory of a server is read that has nothing to do any more."""
FIRST_CONNECTIONS = 16
"""What a server needs only once belongs to these, which come and go before the idle ones."""


LIBCRYPTO = ("crypto", "openssl/evp.h", "libssl-dev")
LIBRARIES = {"anysocket_e2e": LIBCRYPTO, "anysocket_echo": LIBCRYPTO}
"""Of the generators that need one: a library, a header of it, and the package of Debian that has both."""


Place = Mapping[str, int | str]
"""Where a server listens, as options of a load generator: a port, or the path of a Unix socket."""


class BenchError(Exception):
    """Nothing can be measured, or what was measured is worth nothing."""


class Missing(BenchError):
    """A server or a generator cannot run here."""


@dataclass(frozen=True)
class Cores:
    server: int
    generator: int


@dataclass(frozen=True)
class Figures:
    rate: float
    p50_us: float
    p99_us: float
    busy: float
    rss_kib: int
    peak_rss_kib: int


@dataclass(frozen=True)
class IdleMemory:
    before_kib: int
    after_kib: int
    connections: int

    @property
    def each_kib(self) -> float:
        return (self.after_kib - self.before_kib) / self.connections


@dataclass(frozen=True)
class Growth:
    requests: int
    first_kib: int
    """After a tenth of the requests: what a server needs once it has by then."""
    half_kib: int
    last_kib: int

    @property
    def each_bytes(self) -> float:
        return (self.last_kib - self.half_kib) * 1024 / (self.requests / 2)


def two_cores() -> Cores:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise BenchError("two cores are needed, so that the load generator does not slow the server down")
    return Cores(*cores[:2])


def raise_descriptor_limit() -> None:
    """For this process and all that it starts."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def measure(server: Server, scenario: Scenario, seconds: float, cores: Cores) -> Figures:
    with _running(server, cores.server) as (process, place):
        options = {**place, **scenario.load, "seconds": seconds, "warmup": scenario.warmup}
        with _started(scenario.generator_for(server), options, cores) as generator:
            rss = _memory_near_the_end(process, generator, scenario.warmup + seconds * MEMORY_IS_READ_AT)
            output, _ = generator.communicate()
        if generator.returncode != 0:
            raise BenchError(f"the load generator gave up on {server.name}")
        if process.poll() is not None:
            raise BenchError(f"{server.name} ended under load")
        told = json.loads(output)
        return Figures(
            rate=told["rate"],
            p50_us=told["p50_us"],
            p99_us=told["p99_us"],
            busy=told["busy"],
            rss_kib=rss,
            peak_rss_kib=_memory(process, "VmHWM"),
        )


def measure_idle(server: Server, load: IdleLoad, cores: Cores) -> IdleMemory:
    with _running(server, cores.server) as (process, place):
        with _idle_connections(server, load.generator, place, FIRST_CONNECTIONS, cores):
            pass
        time.sleep(SETTLE_SECONDS)
        before = _memory(process, "VmRSS")
        with _idle_connections(server, load.generator, place, load.connections, cores):
            time.sleep(SETTLE_SECONDS)
            after = _memory(process, "VmRSS")
        return IdleMemory(before, after, load.connections)


def measure_growth(server: Server, scenario: GrowthScenario, requests: int, cores: Cores) -> Growth:
    with _running(server, cores.server) as (process, place):
        done = 0
        memory = []
        for share in (0.1, 0.5, 1.0):
            while done < requests * share:
                options = {**place, **scenario.load, "seconds": GROWTH_SECONDS, "warmup": 0}
                with _started(scenario.generator, options, cores) as generator:
                    output, _ = generator.communicate()
                if generator.returncode != 0 or process.poll() is not None:
                    raise BenchError(f"{server.name} ended under load")
                done += json.loads(output)["requests"]
            memory.append(_memory(process, "VmRSS"))
        return Growth(done, *memory)


# -- load generators -----------------------------------------------------------------------


@contextmanager
def _started(
    name: str, options: Mapping[str, int | float | str], cores: Cores, *, stdin: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    arguments = [text for option, value in options.items() for text in (f"--{option}", str(value))]
    with _pinned_to(cores.generator):
        generator = subprocess.Popen(
            [_binary(name), *arguments], stdin=stdin, stdout=subprocess.PIPE, text=True
        )
    with generator:
        try:
            yield generator
        finally:
            generator.kill()


@contextmanager
def _idle_connections(server: Server, name: str, place: Place, count: int, cores: Cores) -> Iterator[None]:
    """Connections that stay open inside of the block, where each has had its answer."""
    options = {**place, "connections": count, "idle": 1}
    with _started(name, options, cores, stdin=subprocess.PIPE) as generator:
        line = _line(generator.stdout, IDLE_SECONDS)
        if not line or json.loads(line) != {"idle": count}:
            raise BenchError(f"the load generator could not make {count} connections to {server.name}")
        yield
        # It ends with the end of its input, and complains about connections that did not stay.
        generator.communicate()
        if generator.returncode != 0:
            raise BenchError(f"{server.name} did not keep {count} idle connections")


def _line(stream: IO[str] | None, seconds: float) -> str:
    assert stream is not None
    readable, _, _ = select.select([stream], [], [], seconds)
    return stream.readline() if readable else ""


# -- memory --------------------------------------------------------------------------------


def _memory_near_the_end(
    process: subprocess.Popen[str], generator: subprocess.Popen[str], after: float
) -> int:
    try:
        generator.wait(after)
    except subprocess.TimeoutExpired:
        return _memory(process, "VmRSS")
    raise BenchError("the load generator ended too early")


def _memory(process: subprocess.Popen[str], field: str) -> int:
    """KiB of a server with all processes that it started."""
    try:
        return sum(_memory_of(pid, field) for pid in _family(process.pid))
    except (OSError, StopIteration):
        # A process that has ended has no memory to tell of.
        raise BenchError("a server ended under load") from None


def _memory_of(pid: int, field: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field))


def _family(pid: int) -> list[int]:
    children = " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return [pid, *(member for child in children.split() for member in _family(int(child)))]


# -- servers -------------------------------------------------------------------------------


@contextmanager
def _running(server: Server, core: int) -> Iterator[tuple[subprocess.Popen[str], Place]]:
    with tempfile.TemporaryDirectory() as folder, _process(server, core, folder) as process:
        yield process, _announced_place(server, process)


@contextmanager
def _process(server: Server, core: int, folder: str) -> Iterator[subprocess.Popen[str]]:
    arguments = [argument.format(port=_free_port(), path=f"{folder}/socket") for argument in server.arguments]
    with _pinned_to(core):
        process = subprocess.Popen(
            [_executable(server.program), *arguments],
            cwd=BENCH / "servers",
            env={**os.environ, "NODE_PATH": NODE_PATH},
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    with process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # With the workers that it may have.
                os.killpg(process.pid, signal.SIGKILL)


def _announced_place(server: Server, process: subprocess.Popen[str]) -> Place:
    line = _line(process.stdout, START_SECONDS)
    word, _, place = line.strip().partition(" ")
    if word == "ready" and place.isdecimal():
        return {"port": int(place)}
    if word == "ready" and place:
        return {"path": place}
    raise BenchError(f"{server.name} did not say where it listens, but {line!r}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def _pinned_to(core: int) -> Iterator[None]:
    """What is started in here stays on one core with all its threads, also those of its start."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


# -- what must be there first ----------------------------------------------------------------


def _executable(program: Program) -> str:
    path = sys.executable if program == "python" else shutil.which(program)
    if path is None:
        raise Missing(f"{program} is not installed")
    return path


def versions(server: Server) -> dict[str, str]:
    """The versions of all that this server stands on. Raises ``Missing``."""
    found: dict[str, str] = {server.program: _program_version(server.program)}
    for package in server.packages:
        version = _npm_version(package) if server.program == "node" else _python_version(package)
        if version is None:
            raise Missing(f"{package} is not installed for {server.program} (`make bench` installs it)")
        found[package] = version
    return found


@cache
def _program_version(program: Program) -> str:
    command = [_executable(program), "--version"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return output.split()[-1].removeprefix("v")


def _npm_version(package: str) -> str | None:
    for folder in NODE_PATH.split(os.pathsep):
        manifest = Path(folder, package, "package.json")
        if manifest.is_file():
            return str(json.loads(manifest.read_text())["version"])
    return None


def _python_version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _binary(generator: str) -> Path:
    return BENCH / "build" / f"{generator}_load"


def build(generator: str) -> None:
    """Compiles a load generator, unless it is newer than every source."""
    binary, folder = _binary(generator), BENCH / "load"
    newest = max(source.stat().st_mtime for source in folder.glob("*.[ch]"))
    if binary.exists() and binary.stat().st_mtime >= newest:
        return
    shared = [source for source in sorted(folder.glob("*.c")) if not source.stem.endswith("_load")]
    binary.parent.mkdir(exist_ok=True)
    flags = ["-std=c11", "-O2", "-Wall", "-Wextra"]
    libraries = [f"-l{LIBRARIES[generator][0]}"] if generator in LIBRARIES else []
    sources = [folder / f"{generator}_load.c", *shared]
    if subprocess.run([_compiler(), *flags, "-o", binary, *sources, *libraries]).returncode != 0:
        raise BenchError(f"the load generator {generator} does not compile")


def check_generator(generator: str) -> None:
    """Raises ``Missing`` when what a load generator is built with is not installed."""
    if generator not in LIBRARIES:
        return
    library, header, package = LIBRARIES[generator]
    command = [_compiler(), "-E", "-x", "c", "-o", os.devnull, "-"]
    source = f"#include <{header}>\n"
    if subprocess.run(command, input=source, text=True, stderr=subprocess.DEVNULL).returncode != 0:
        raise Missing(
            f"{header} of lib{library} is not installed ({package}; `make deps` installs it as root)"
        )


def _compiler() -> str:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BenchError("a C compiler is needed for the load generator")
    return compiler
