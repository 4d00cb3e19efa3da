"""How the suite runs: every ``async def`` test on asyncio's loop and on uvloop, each with a
deadline, and each failing when a task or an exception is left behind."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest

pytest.register_assert_rewrite("tests.programs")

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop] | None] = {"asyncio": None}
try:
    import uvloop
except ImportError:
    pass
else:
    LOOPS["uvloop"] = uvloop.new_event_loop

DEADLINE = 60.0


def pytest_configure() -> None:
    # A shell that starts the suite in the background has it ignored, and all children inherit that:
    # nobody could be stopped by it, and some tests would wait for ever.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if inspect.iscoroutinefunction(metafunc.function):
        metafunc.fixturenames.append("loop_name")
        metafunc.parametrize("loop_name", list(LOOPS))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in wanted}
    factory = LOOPS[pyfuncitem.callspec.params["loop_name"]]
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(guarded(pyfuncitem.obj, arguments))
    return True


async def guarded(test: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Run a test that leaves nothing behind."""
    loop = asyncio.get_running_loop()
    unhandled: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda loop, context: unhandled.append(context))
    async with asyncio.timeout(DEADLINE):
        await test(**arguments)
    # Closed transports report their end in the next turns of the loop.
    for _ in range(10):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks left behind: {left}"
    gc.collect()
    assert not unhandled, f"unhandled: {unhandled}"


def pytest_collection_finish() -> None:
    # Each test looks for what it left behind: not among the thousands of tests, too.
    gc.collect()
    gc.freeze()


def pytest_report_header() -> str:
    return f"loops: {', '.join(LOOPS)}; python {sys.version.split()[0]}"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything can be installed, a test that is skipped hides something."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
