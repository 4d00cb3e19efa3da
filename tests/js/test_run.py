"""``wirehop run`` of programs in JavaScript: how they end, what they are told, and what they print."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.js.running import EVERYWHERE, Where, command, run, run_text
from tests.programs import ENVIRONMENT, free_port
from wirehop import js
from wirehop.cli import main
from wirehop.js import engines
from wirehop.node.modules import ModuleError

everywhere = pytest.mark.parametrize("where", EVERYWHERE)
once = pytest.mark.parametrize("where", EVERYWHERE[::2])
"""In each engine, where the loop makes no difference."""


@once
def test_what_a_program_finds(where: Where, tmp_path: Path) -> None:
    text = """#!/usr/bin/env -S wirehop run
        puts(ARGV.slice(2).join(" "));
        puts("é € 😀");
        print("no newline, ");
        print([111, 107, 10]);
        p({ a: [1, "\\ud83d\\ude00"] });
        stderr.puts("an error");
        node.debug("at once");
        console.log("log", { a: 1 });
        stdin.read(100).addCallback(function (bytes) {
            p(bytes);
            stdin.read(100).addCallback(function (end) { p(end); });
        });
        p([node.SIGTERM, node.O_RDONLY, node.UTF8, node.RAW, typeof node.O_CREAT]);
        p(node.path.join("a/", "./b", "/c"));
        p([node.path.dirname("/a/b.js"), node.path.dirname("b.js"), node.path.filename("/a/b.js")]);
    """
    script = tmp_path / "main.js"
    script.write_text(text, encoding="utf-8")
    ended = run(where, script, "one", "tw😀", stdin=b"\x00\x41\n")
    assert ended.returncode == 0
    assert ended.stdout.splitlines() == [
        "one tw😀",
        "é € 😀",
        "no newline, ok",
        '{"a":[1,"😀"]}',
        'log {"a":1}',
        f'[{int(signal.SIGTERM)},{os.O_RDONLY},"utf8","raw","number"]',
        '"a/b/c"',
        '["/a",".","b.js"]',
        "[0,65,10]",
        "null",
    ]
    assert sorted(ended.stderr.splitlines()) == ["DEBUG: at once", "an error"]


@everywhere
def test_an_uncaught_exception_prints_the_stack(where: Where, tmp_path: Path) -> None:
    text = """function deep (x) { return x.nothing.there; }
        puts("printed");
        setTimeout(function later () {
            deep({});
        }, 1);
        setTimeout(function () { puts("not this"); }, 2);
        function onExit () { puts("nor this"); }
    """
    ended = run_text(where, tmp_path, text)
    assert (ended.returncode, ended.stdout) == (1, "printed\n")
    message, deep, later = ended.stderr.splitlines()
    assert message.startswith("TypeError: ")
    assert f"at deep ({tmp_path}/main.js:1:" in deep
    assert f"later ({tmp_path}/main.js:4:" in later


@once
@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("throw 'text'", "Uncaught text"),
        ("throw { toString () { return 'an object' } }", "Uncaught an object"),
        ("throw { toString () { throw 1 } }", "Uncaught an error that cannot be shown"),
        ("async function f () { await null; throw new Error('async'); }\nsetTimeout(f, 1)", "Error: async"),
        ("function onLoad () { throw new Error('of onLoad'); }", "Error: of onLoad"),
        ("async function onLoad () { throw new Error('of onLoad'); }", "Error: of onLoad"),
        ("node.http.createServer().listen(-1)", "Error: "),
        ("new node.fs.File().open('x', 'q')", "Error: "),
        ("require('nothing.js', 1); function f () { f() } f()", "RangeError: "),
    ],
)
def test_what_ends_a_program(text: str, last: str, where: Where, tmp_path: Path) -> None:
    ended = run_text(where, tmp_path, text)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(last)
    assert "Traceback" not in ended.stderr


@everywhere
def test_drain_comes_when_all_has_left(where: Where, tmp_path: Path) -> None:
    text = """var got = "", left = 5, port = Number(ARGV[2]);
        var server = node.tcp.createServer(function (socket) {
            socket.setEncoding("utf8");
            socket.addListener("receive", function (data) { got += data; });
            socket.addListener("eof", function () { socket.close(); server.close(); puts(got); });
        });
        server.listen(port, "127.0.0.1");
        var client = node.tcp.createConnection(port, "127.0.0.1");
        function pump () { if (left > 0) client.send(String(left--)); else client.close(); }
        client.addListener("connect", pump);
        client.addListener("drain", pump);
    """
    ended = run_text(where, tmp_path, text, str(free_port()))
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "54321\n", "")


@once
def test_what_is_not_javascript(where: Where, tmp_path: Path) -> None:
    ended = run_text(where, tmp_path, "var a = 1;\nif (a {\n}\n")
    place, line, mark, message = ended.stderr.splitlines()
    assert (ended.returncode, place, line) == (1, f"{tmp_path}/main.js:2", "if (a {")
    assert mark == "      ^"
    assert message.startswith("SyntaxError: ")


@once
def test_a_module_that_is_not_there(where: Where, tmp_path: Path) -> None:
    ended = run_text(where, tmp_path, "require('nowhere.js'); function onLoad () { puts('no'); }")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"wirehop: Error reading {tmp_path}/nowhere.js: ")
    ended = run(where, tmp_path / "neither.js")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"wirehop: Error reading {tmp_path}/neither.js: ")


@once
def test_modules_over_http_must_be_allowed(where: Where, tmp_path: Path) -> None:
    ended = run_text(where, tmp_path, "require('http://127.0.0.1:1/x.js')")
    assert ended.returncode == 1
    assert "modules over http need --allow-remote-modules" in ended.stderr
    assert f"{tmp_path}/main.js:1:1" in ended.stderr


@everywhere
def test_exit(where: Where, tmp_path: Path) -> None:
    text = """
        setTimeout(function () {
            puts("before");
            try { node.exit(3); } catch (error) { puts("not this"); }
            node.debug("nor this");
        }, 1);
        setInterval(function () { puts("tick"); }, 10000);
        function onExit () { puts("on exit"); }
    """
    ended = run_text(where, tmp_path, text)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "before\non exit\n", "")


@once
def test_exit_hooks_that_fail(where: Where, tmp_path: Path) -> None:
    (tmp_path / "module.js").write_text("function onExit () { puts('module'); }")
    text = "require('module.js'); function onExit () { throw new Error('in the hook'); }"
    ended = run_text(where, tmp_path, text)
    assert (ended.returncode, ended.stdout) == (1, "module\n")
    assert ended.stderr.startswith("Error: in the hook\n")
    assert "Traceback" not in ended.stderr


@everywhere
def test_a_promise_of_its_own_keeps_a_program_alive(where: Where, tmp_path: Path) -> None:
    text = """
        var promise = new node.Promise();
        promise.addCallback(function (value) { puts(value); });
        var child = node.createProcess("exec sleep 0.05");
        child.addListener("exit", function () {
            (async function () { await null; promise.emitSuccess(["settled"]); })();
        });
    """
    ended = run_text(where, tmp_path, text)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "settled\n", "")


@once
def test_what_fails_unheard_is_told(where: Where, tmp_path: Path) -> None:
    text = """
        node.fs.stat("/nowhere");
        new node.fs.File().open("/nowhere/file", "r");
        node.http.createClient(1).get("/").finish(function () {});
    """
    ended = run_text(where, tmp_path, text)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert sorted(ended.stderr.splitlines()) == [
        "a file operation failed and nobody was told: No such file or directory: /nowhere/file",
        "a promise failed and nobody was told: No such file or directory: /nowhere",
        "a request failed and nobody was told: Connection refused",
    ]


def interrupted(where: Where, folder: Path, text: str) -> tuple[int, str]:
    """Send SIGINT when a program says on stderr that it is ready."""
    script = folder / "main.js"
    script.write_text(text)
    with subprocess.Popen(
        command(where, script), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "DEBUG: ready\n"
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    return process.returncode, out


BUSY = """
    puts("last words");
    setTimeout(function () {
        node.debug("ready");
        while (true) { %s }
    }, 1);
    function onExit () { puts("not this"); }
"""


@everywhere
@pytest.mark.parametrize("work", ["", "try { node.debug('x'); } catch (error) {}"])
def test_sigint_ends_a_busy_script(work: str, where: Where, tmp_path: Path) -> None:
    assert interrupted(where, tmp_path, BUSY % work) == (130, "last words\n")


@everywhere
def test_sigint_ends_a_script_that_waits(where: Where, tmp_path: Path) -> None:
    text = """
        setInterval(function () {}, 1000);
        setTimeout(function () { node.debug("ready"); }, 1);
        function onExit () { puts("on exit"); }
    """
    assert interrupted(where, tmp_path, text) == (130, "on exit\n")


@once
def test_a_reader_that_leaves(where: Where, tmp_path: Path) -> None:
    script = tmp_path / "main.js"
    script.write_text("for (var i = 0; i < 10000; i++) puts('a line of text');")
    process = subprocess.Popen(
        command(where, script), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "a line of text\n"
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0
    assert said == "a file operation failed and nobody was told: Broken pipe\n"


@once
def test_text_that_is_hard_to_carry(where: Where, tmp_path: Path) -> None:
    """What one engine cuts at a NUL, the other beyond the BMP, and both at half a surrogate pair."""
    text = """
        var file = node.path.join(ARGV[2], "text");
        var texts = ["a\\0b", "\\ue000", "\\ue0000\\ue0001\\0", "😀", "\\ud83d", "\\ude00x", "", "\\u0001x"];
        var handle = new node.fs.File({ encoding: "utf8" });
        handle.open(file, "w+");
        texts.forEach(function (text) { handle.write(text + "\\n"); });
        handle.read(1000, 0).addCallback(function (text) {
            p(text.split("\\n").map(function (line) { return escape(line); }));
        });
        handle.close();
    """
    ended = run_text(where, tmp_path, text, str(tmp_path))
    lone = "%uFFFD"
    assert json.loads(ended.stdout) == [
        "a%00b", "%uE000", "%uE0000%uE0001%00", "%uD83D%uDE00", lone, lone + "x", "", "%01x", "",
    ]  # fmt: skip
    assert (tmp_path / "text").read_text().split("\n")[0] == "a\0b"


# --- engines


def test_the_engines_are_stated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    lines = capsys.readouterr().out.splitlines()
    stated = ", ".join(f"{name} {version}" for name, version in js.installed().items())
    assert lines[1:] == [f"JavaScript: {stated}"]


def test_without_an_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engines, "ENGINES", {"v8": "no-such-package", "quickjs": "nor-such-a-package"})
    script = tmp_path / "main.js"
    script.write_text("puts(1)")
    assert main(["run", str(script)]) == 1
    assert "pip install 'wirehop[js]'" in capsys.readouterr().err
    assert main(["run", "--engine", "quickjs", str(script)]) == 1
    assert "the engine quickjs is not installed" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.splitlines()[1] == "JavaScript: no engine, see wirehop[js]"


def test_an_engine_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in js.installed():
        monkeypatch.delitem(sys.modules, f"wirehop.js.engines.{name}", raising=False)
        monkeypatch.setitem(sys.modules, {"v8": "STPyV8", "quickjs": "quickjs"}[name], None)
        with pytest.raises(js.EngineMissing, match=f"the engine {name} cannot be loaded"):
            engines.find(name)


def test_which_engine() -> None:
    with pytest.raises(ValueError, match="'spidermonkey' is no engine: v8 or quickjs"):
        engines.find("spidermonkey")
    with pytest.raises(SystemExit):
        main(["run", "--engine", "spidermonkey", "x.js"])


def test_an_engine_is_for_javascript(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "main.py"
    script.write_text("")
    assert main(["run", "--engine", "v8", str(script)]) == 2
    assert "--engine is for scripts in JavaScript" in capsys.readouterr().err


@pytest.mark.parametrize("name", js.installed())
def test_two_programs_in_one_process(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "main.js"
    script.write_text("counter = typeof counter; puts(counter);")
    js.run_script(str(script), engine=name)
    js.run_script(str(script), engine=name)
    assert capfd.readouterr().out == "undefined\nundefined\n"
    with pytest.raises(ModuleError):
        js.run_script(str(tmp_path / "nowhere.js"), engine=name)
