"""The hidden loop: a program ends when nothing is pending, by exit(), or by an error."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from wirehop import node
from wirehop.node import http, tcp


def test_run_returns_when_nothing_is_pending() -> None:
    order: list[str] = []

    def main() -> None:
        order.append("main")
        node.set_timeout(order.append, 0.001, "timer")

    node.run(main)
    assert order == ["main", "timer"]


def test_an_async_main_and_its_tasks() -> None:
    order: list[str] = []
    tasks = set()

    async def work() -> None:
        await asyncio.sleep(0.001)
        order.append("task")

    async def main() -> None:
        await asyncio.sleep(0)
        tasks.add(asyncio.ensure_future(work()))
        order.append("main")

    node.run(main)
    assert order == ["main", "task"]


def test_servers_and_connections_keep_a_program_alive() -> None:
    order: list[str] = []

    async def main() -> None:
        server = tcp.create_server(lambda connection: connection.on("eof", connection.close))
        await server.listen(0, "127.0.0.1")
        client = tcp.create_connection(server.port)

        @client.on("connect")
        def connected() -> None:
            server.close()
            node.set_timeout(client.close, 0.01)

        client.on("disconnect", lambda had_error: order.append(f"disconnect {had_error}"))

    node.run(main)
    assert order == ["disconnect False"]


def test_an_idle_http_client_keeps_nobody_alive() -> None:
    bodies: list[bytes] = []

    async def main() -> None:
        server = http.create_server(lambda request, response: response.respond(200, [], b"x"))
        await server.listen(0, "127.0.0.1")
        client = http.create_client(server.port)
        response = await client.get("/").finish()
        bodies.append(await response.read())
        server.close()

    node.run(main)
    assert bodies == [b"x"]


def test_what_main_raises_is_raised() -> None:
    def plain() -> None:
        raise KeyError("plain")

    async def later() -> None:
        await asyncio.sleep(0)
        raise KeyError("async")

    with pytest.raises(KeyError, match="plain"):
        node.run(plain)
    with pytest.raises(KeyError, match="async"):
        node.run(later)


def _raises() -> None:
    raise RuntimeError("uncaught")


@pytest.mark.parametrize(
    "begin",
    [
        lambda: node.set_timeout(_raises, 0),
        lambda: asyncio.get_running_loop().call_soon(_raises),
        lambda: node.fs.stat("/").add_callback(_raises),
    ],
    ids=["timer", "call_soon", "promise"],
)
def test_an_uncaught_error_ends_the_program(begin: Any, caplog: pytest.LogCaptureFixture) -> None:
    ends: list[str] = []

    def main() -> None:
        begin()
        node.set_timeout(ends.append, 60, "not reached")

    with pytest.raises(SystemExit) as ended:
        node.run(main)
    assert ended.value.code == 1
    assert "uncaught" in caplog.text
    assert ends == []


def test_an_error_listener_takes_an_error() -> None:
    taken: list[Exception] = []

    def main() -> None:
        timer = node.set_timeout(_raises, 0)
        timer.on("error", taken.append)

    node.run(main)
    assert [str(error) for error in taken] == ["uncaught"]


def test_exit() -> None:
    reached: list[str] = []

    def leave(code: int) -> None:
        node.exit(code)
        reached.append("after exit")

    def later() -> None:
        node.set_timeout(leave, 0, 4)
        node.set_timeout(reached.append, 60, "late")

    for main, code in ((lambda: leave(3), 3), (later, 4), (lambda: leave(0), 0)):
        with pytest.raises(SystemExit) as ended:
            node.run(main)
        assert ended.value.code == code
    assert reached == []


def test_exit_inside_what_uvloop_guards() -> None:
    async def main() -> None:
        server = tcp.create_server(lambda connection: connection.on("receive", lambda data: node.exit(5)))
        await server.listen(0, "127.0.0.1")
        client = tcp.create_connection(server.port)
        client.on("connect", lambda: client.send("x"))

    with pytest.raises(SystemExit) as ended:
        node.run(main)
    assert ended.value.code == 5


@pytest.mark.parametrize("how", ["tcp", "http", "timer", "task"])
def test_sys_exit_ends_the_program_wherever_it_is_called(how: str) -> None:
    ends: list[str] = []

    async def main() -> None:
        if how == "timer":
            node.set_timeout(sys.exit, 0, 5)
        elif how == "task":
            node.set_timeout(exits, 0)
        elif how == "tcp":
            server = tcp.create_server(lambda connection: connection.on("receive", lambda data: sys.exit(5)))
            await server.listen(0, "127.0.0.1")
            client = tcp.create_connection(server.port)
            client.on("connect", lambda: client.send("x"))
        else:
            await (site := http.create_server(lambda request, response: sys.exit(5))).listen(0, "127.0.0.1")
            http.create_client(site.port).get("/").finish()

    async def exits() -> None:
        await asyncio.sleep(0)
        sys.exit(5)

    with pytest.raises(SystemExit) as ended:
        node.run(main, exit_hooks=lambda: [lambda: ends.append("hook")])
    assert ended.value.code == 5
    assert ends == ["hook"]


def test_async_hooks_run_to_their_end_in_their_order() -> None:
    def ends_of(main: Any, *hooks: Any) -> tuple[int, list[str]]:
        ends: list[str] = []

        async def slow() -> None:
            ends.append("begins")
            await asyncio.sleep(0.01)
            ends.append("ends")

        with pytest.raises(SystemExit) as ended:
            node.run(main, exit_hooks=lambda: [lambda: ends.append("plain"), slow, slow, *hooks])
        assert isinstance(ended.value.code, int)
        return ended.value.code, ends

    async def fails() -> None:
        await asyncio.sleep(0)
        raise SystemExit(6)

    whole = ["plain", "begins", "ends", "begins", "ends"]
    assert ends_of(lambda: node.set_timeout(node.exit, 0, 3)) == (3, whole)
    assert ends_of(lambda: node.exit(3)) == (3, whole)
    assert ends_of(lambda: sys.exit(4)) == (4, whole)
    assert ends_of(lambda: None, fails) == (6, whole)


def test_sigint_ends_an_async_hook_too() -> None:
    ends: list[str] = []

    async def slow() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(60)
        finally:
            ends.append("finally")

    with pytest.raises(SystemExit) as ended:
        node.run(lambda: None, exit_hooks=lambda: [slow])
    assert ended.value.code == 130
    assert ends == ["finally"]


def test_a_port_in_use_that_nobody_hears_of_ends_the_program(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        taken = tcp.create_server()
        await taken.listen(0, "127.0.0.1")
        tcp.create_server().listen(taken.port, "127.0.0.1")

    with pytest.raises(SystemExit) as ended:
        node.run(main)
    assert ended.value.code == 1
    assert [record.message.split(":")[0] for record in caplog.records] == ["a server cannot listen"]


def test_sigint_ends_cleanly() -> None:
    ends: list[str] = []

    async def main() -> None:
        node.set_timeout(os.kill, 0, os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(60)
        finally:
            ends.append("finally")

    with pytest.raises(SystemExit) as ended:
        node.run(main)
    assert ended.value.code == 130
    assert ends == ["finally"]


def test_two_programs_one_after_the_other() -> None:
    for _ in range(2):
        with pytest.raises(SystemExit):
            node.run(lambda: node.exit(7))
        node.run(lambda: None)


# --- scripts


def run(directory: Path, *arguments: str, **files: str) -> subprocess.CompletedProcess[str]:
    """Write ``files`` and run the one that is called main."""
    for name, text in files.items():
        (directory / f"{name}.py").write_text(textwrap.dedent(text))
    return subprocess.run(
        [sys.executable, "-m", "wirehop.cli", "run", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=directory,
    )


def test_a_script_finds_its_names(tmp_path: Path) -> None:
    ended = run(
        tmp_path,
        "main.py",
        "--flag",
        "x",
        main="""
        import sys
        from wirehop import node

        assert __name__ == "__main__"
        assert __filename__ == __file__ == sys.path[0] + "/main.py"
        assert sys.argv == ["main.py", "--flag", "x"]
        exports.answer = 42
        node.p([node.ARGV, answer, exports.answer])
        """,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == '[["wirehop","main.py","--flag","x"],42,42]\n'


def test_the_order_of_loading_and_of_the_end(tmp_path: Path) -> None:
    body = """
    from wirehop import node
    node.puts("{0} body")
    {1}
    def on_load():
        node.puts("{0} load")
    def on_exit():
        print("{0} exit")
    """
    ended = run(
        tmp_path,
        "main.py",
        main=body.format("main", 'a = require("a.py"); b = require("./b.py")'),
        a=body.format("a", 'include("c.py")'),
        b=body.format("b", ""),
        c=body.format("c", ""),
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.split("\n")[:-1]
    assert lines[0] == "main body"
    assert lines.index("c load") < lines.index("a load") < lines.index("main load")
    assert lines.index("b load") < lines.index("main load")
    assert lines[-4:] == ["c exit", "a exit", "b exit", "main exit"]


def test_include_adds_names(tmp_path: Path) -> None:
    ended = run(
        tmp_path,
        "main.py",
        main="""
        from wirehop import node
        include("circle.py")
        shapes = require("shapes.py")

        def on_load():
            node.p([area(4), exports.area(4), shapes.area(2), shapes.twice(2), dir(shapes)])
        """,
        shapes="""
        include("circle.py")
        exports.twice = lambda r: 2 * area(r)
        """,
        circle="""
        PI = 3
        exports.area = lambda r: PI * r * r
        """,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == '[48,48,12,24,["area","twice"]]\n'


def test_modules_may_be_loaded_until_on_load_only(tmp_path: Path) -> None:
    ended = run(
        tmp_path,
        "main.py",
        main="""
        from wirehop import node
        require("other.py")

        def on_load():
            for load in (require, include, node.require, node.include):
                try:
                    load("other.py")
                except RuntimeError as error:
                    node.puts(error)
        """,
        other="",
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (
        ended.stdout.splitlines() == ["require() and include() cannot be used after on_load() is called"] * 4
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("missing.py", "Error reading {here}/missing.py: "),
        ("/absolute.py", "the path of a module is relative to the file that asks: /absolute.py"),
        ("http://127.0.0.1:1/x.py", "modules over http need --allow-remote-modules: http://127.0.0.1:1/x.py"),
        ("main.py", "module number 100 in a row"),
    ],
    ids=["missing", "absolute", "remote", "endless"],
)
def test_modules_that_cannot_be_loaded(tmp_path: Path, asked: str, said: str) -> None:
    ended = run(tmp_path, "main.py", main=f"require({asked!r})")
    assert ended.returncode == 1
    assert said.format(here=tmp_path) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_export_that_is_not_there(tmp_path: Path) -> None:
    ended = run(
        tmp_path,
        "main.py",
        main="""
        other = require("other.py")
        other.x
        """,
        other="exports.x = 1",
    )
    assert ended.returncode == 1
    assert "AttributeError: the module exports no 'x' (yet?)" in ended.stderr


@pytest.mark.parametrize(
    "body",
    [
        "1 / 0",
        "def on_load(): 1 / 0",
        "async def on_load(): 1 / 0",
        "from wirehop import node; node.set_timeout(lambda: 1 / 0, 0)",
        "def on_exit(): 1 / 0",
        "require('bad.py')",
        "import asyncio; await asyncio.sleep(0); 1 / 0",
    ],
)
def test_an_uncaught_error_prints_its_traceback(tmp_path: Path, body: str) -> None:
    ended = run(tmp_path, "main.py", main=body, bad="1 / 0")
    assert ended.returncode == 1
    assert ended.stderr.count("ZeroDivisionError: division by zero") == 1
    assert 'main.py", line 1' in ended.stderr or 'bad.py", line 1' in ended.stderr


def test_a_syntax_error(tmp_path: Path) -> None:
    ended = run(tmp_path, "main.py", main="def (")
    assert ended.returncode == 1
    assert "SyntaxError" in ended.stderr


def test_exit_calls_on_exit_and_loses_no_output(tmp_path: Path) -> None:
    ended = run(
        tmp_path,
        "main.py",
        main="""
        from wirehop import node

        for number in range(20_000):
            node.puts(number)

        def on_exit():
            # As print would mix with what a thread is writing.
            node.puts("on_exit")
            try:
                node.exit(9)
            except RuntimeError as error:
                node.puts(error)

        def leave():
            node.exit(3)
            print("not reached")

        node.set_timeout(leave, 0)
        """,
    )
    assert (ended.returncode, ended.stderr) == (3, "")
    lines = ended.stdout.splitlines()
    numbers = [line for line in lines if line.isdigit()]
    assert numbers == [str(number) for number in range(20_000)]
    assert "the program is exiting already" in lines
    assert "not reached" not in lines


def test_sys_exit_calls_on_exit(tmp_path: Path) -> None:
    main = """
    import asyncio, sys

    async def on_exit():
        await asyncio.sleep(0)
        print("on_exit")

    sys.exit({0})
    """
    for code, status, said in (("3", 3, ""), ("", 0, ""), ("'bye'", 1, "bye\n")):
        ended = run(tmp_path, "main.py", main=main.format(code))
        assert (ended.returncode, ended.stdout, ended.stderr) == (status, "on_exit\n", said)


def test_a_module_may_be_required_until_all_are_loaded(tmp_path: Path) -> None:
    ended = run(
        tmp_path,
        "main.py",
        main="""
        import asyncio
        from wirehop import node
        first = require("first.py")
        def later():
            global second
            second = require("second.py")
        node.set_timeout(later, 0)
        def on_load():
            print(first.x, second.x)
        """,
        first="import asyncio; await asyncio.sleep(0.05); exports.x = 1",
        second="import asyncio; await asyncio.sleep(0.2); exports.x = 2",
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1 2\n", "")


@pytest.mark.parametrize("when", ["in the body", "later"])
def test_a_module_that_is_missing_ends_the_program_at_once(tmp_path: Path, when: str) -> None:
    main = """
    import asyncio
    from wirehop import node
    {0}
    print("goes on", flush=True)
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        print("cancelled", flush=True)
        raise
    """
    late = "node.set_timeout(lambda: require('missing.py'), 0.01)"
    ended = run(tmp_path, "main.py", main=main.format("require('missing.py')" if when != "later" else late))
    assert ended.returncode == 1
    assert ended.stdout == "goes on\ncancelled\n"
    assert ended.stderr.startswith("wirehop: Error reading")
    assert "never retrieved" not in ended.stderr


def test_a_script_has_no_future_but_its_own(tmp_path: Path) -> None:
    main = "def f(x: int): pass\nprint(f.__annotations__)"
    ended = run(tmp_path, "main.py", main=main)
    assert (ended.stdout, ended.stderr) == ("{'x': <class 'int'>}\n", "")


def test_a_script_that_is_not_there(tmp_path: Path) -> None:
    ended = run(tmp_path, "main.py")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"wirehop: Error reading {tmp_path}/main.py: ")
    assert "Traceback" not in ended.stderr


def test_require_outside_of_a_script() -> None:
    with pytest.raises(RuntimeError, match="wirehop run"):
        node.require("x.py")
    with pytest.raises(RuntimeError, match="wirehop run"):
        node.include("x.py")


def test_dataclasses_of_a_script(tmp_path: Path) -> None:
    text = """
    from __future__ import annotations
    import dataclasses, pickle
    from typing import ClassVar

    @dataclasses.dataclass
    class Point:
        x: int
        zero: ClassVar[int] = 0

    assert pickle.loads(pickle.dumps(Point(1))) == Point(1)
    exports.Point = Point
    """
    ended = run(tmp_path, "main.py", main=textwrap.dedent(text) + 'require("point.py")\n', point=text)
    assert (ended.returncode, ended.stderr) == (0, "")
