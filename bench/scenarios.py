"""What is measured: each scenario sets servers against each other under one load.

A new scenario is a declaration at the end of this file. A new generator is a file
``load/NAME_load.c``, a new server a program in ``servers/`` that prints ``ready PORT``, or
``ready PATH`` if it listens at a Unix socket. Where clients are compared they stand in the servers'
place: they say ``ready`` and connect to the port, where the generator then is the server.
"""

from __future__ import annotations

from dataclasses import replace

from kinds import AnyScenario, GrowthScenario, IdleLoad, IdleScenario, Scenario, Server

NPM_ANYSOCKET = Server("npm anysocket", "node", ("npm_anysocket.js", "{port}"), ("anysocket",))
NPM_ANYSOCKET_PLAIN = replace(NPM_ANYSOCKET, name="npm anysocket (plain)")
WIREHOP_ANYSOCKET_NEEDS = ("wirehop", "uvloop", "picows", "orjson")
WIREHOP_ANYSOCKET = Server("wirehop", "python", ("wirehop_anysocket.py",), WIREHOP_ANYSOCKET_NEEDS)
WIREHOP_ANYSOCKET_E2E = replace(WIREHOP_ANYSOCKET, packages=(*WIREHOP_ANYSOCKET_NEEDS, "cryptography"))
BARE_PICOWS = Server("bare picows", "python", ("bare_picows.py",), ("picows", "orjson", "uvloop"))

CLIENT_OUTSTANDING = 256
NPM_ANYSOCKET_CLIENT = Server(
    "npm anysocket", "node", ("npm_anysocket_client.js", "{port}", str(CLIENT_OUTSTANDING)), ("anysocket",)
)
WIREHOP_ANYSOCKET_CLIENT = Server(
    "wirehop",
    "python",
    ("wirehop_anysocket_client.py", "{port}", str(CLIENT_OUTSTANDING)),
    WIREHOP_ANYSOCKET_NEEDS,
)

NODE_HTTP = Server("node:http", "node", ("node_http.js",), ())
WIREHOP_HTTP = Server("wirehop", "python", ("wirehop_http.py",), ("wirehop", "uvloop", "httptools"))
AIOHTTP = Server("aiohttp", "python", ("aiohttp_http.py",), ("aiohttp", "uvloop"))
UVICORN = Server("uvicorn", "python", ("uvicorn_http.py",), ("uvicorn", "uvloop", "httptools"))
GRANIAN = Server("granian", "python", ("granian_http.py", "{port}"), ("granian", "uvloop"))
BARE_HTTPTOOLS = Server("bare httptools", "python", ("bare_httptools.py",), ("httptools", "uvloop"))


def wirehop_js(engine: str, package: str) -> Server:
    """The program in JavaScript, under ``wirehop run``."""
    command = ("-m", "wirehop.cli", "run", "--engine", engine, "wirehop_http.js")
    return Server(f"wirehop run, {engine}", "python", command, ("wirehop", "uvloop", "httptools", package))


WIREHOP_V8 = wirehop_js("v8", "stpyv8")
WIREHOP_QUICKJS = wirehop_js("quickjs", "quickjs-ng")
WIREHOP_PYTHON_HTTP = replace(WIREHOP_HTTP, name="wirehop in Python")

NODE_NET = Server("node:net", "node", ("node_net.js",), ())
WIREHOP_TCP = Server("wirehop", "python", ("wirehop_tcp.py",), ("wirehop", "uvloop"))
BARE_TCP = Server("bare uvloop", "python", ("bare_tcp.py",), ("uvloop",))

WIREHOP_SOCKHOP_NEEDS = ("wirehop", "uvloop", "orjson")
NPM_SOCKHOP = Server("npm sockhop", "node", ("npm_sockhop.js", "{port}"), ("sockhop",))
WIREHOP_SOCKHOP = Server("wirehop", "python", ("wirehop_sockhop.py",), WIREHOP_SOCKHOP_NEEDS)
BARE_SOCKHOP = Server("bare msgspec", "python", ("bare_sockhop.py",), ("msgspec", "uvloop"))
NPM_SOCKHOP_UNIX = replace(NPM_SOCKHOP, arguments=("npm_sockhop.js", "{path}"))
WIREHOP_SOCKHOP_UNIX = replace(WIREHOP_SOCKHOP, arguments=("wirehop_sockhop.py", "{path}"))
NPM_SOCKHOP_CLIENT = Server(
    "npm sockhop", "node", ("npm_sockhop_client.js", "{port}", str(CLIENT_OUTSTANDING)), ("sockhop",)
)
WIREHOP_SOCKHOP_CLIENT = Server(
    "wirehop",
    "python",
    ("wirehop_sockhop_client.py", "{port}", str(CLIENT_OUTSTANDING)),
    WIREHOP_SOCKHOP_NEEDS,
)

SCENARIOS: tuple[AnyScenario, ...] = (
    Scenario(
        name="anysocket-64x1",
        title="anysocket request and reply: 64 peers with 1 request under way each, 64 bytes",
        generator="anysocket",
        load={"connections": 64, "outstanding": 1, "size": 64},
        baseline=NPM_ANYSOCKET,
        subject=WIREHOP_ANYSOCKET,
        target=3.0,
        others=(BARE_PICOWS,),
    ),
    Scenario(
        name="anysocket-1x64",
        title="anysocket request and reply: 1 peer with 64 requests under way, 64 bytes",
        generator="anysocket",
        load={"connections": 1, "outstanding": 64, "size": 64},
        baseline=NPM_ANYSOCKET,
        subject=WIREHOP_ANYSOCKET,
        target=4.5,
        others=(BARE_PICOWS,),
    ),
    Scenario(
        name="anysocket-1mib",
        # Two peers, so that the server has work while the generator has the other message.
        title="anysocket request and reply: 2 peers with 1 request under way each, 1 MiB (one packet)",
        generator="anysocket",
        load={"connections": 2, "outstanding": 1, "size": 1 << 20},
        baseline=NPM_ANYSOCKET,
        subject=WIREHOP_ANYSOCKET,
        target=6.0,
        others=(BARE_PICOWS,),
    ),
    Scenario(
        name="anysocket-e2e-64x1",
        title="anysocket end to end: 64 peers with 1 request under way each, 64 bytes",
        generator="anysocket_e2e",
        load={"connections": 64, "outstanding": 1, "size": 64},
        baseline=NPM_ANYSOCKET,
        subject=WIREHOP_ANYSOCKET_E2E,
        target=3.0,
        others=(NPM_ANYSOCKET_PLAIN,),
        demands=((NPM_ANYSOCKET_PLAIN, 1.0),),
        generators={NPM_ANYSOCKET_PLAIN: "anysocket"},
    ),
    Scenario(
        name="anysocket-e2e-1x64",
        title="anysocket end to end: 1 peer with 64 requests under way, 64 bytes",
        generator="anysocket_e2e",
        load={"connections": 1, "outstanding": 64, "size": 64},
        baseline=NPM_ANYSOCKET,
        subject=WIREHOP_ANYSOCKET_E2E,
        target=4.5,
        others=(NPM_ANYSOCKET_PLAIN,),
        demands=((NPM_ANYSOCKET_PLAIN, 1.0),),
        generators={NPM_ANYSOCKET_PLAIN: "anysocket"},
    ),
    Scenario(
        name="anysocket-e2e-1mib",
        title="anysocket end to end: 2 peers with 1 request under way each, 1 MiB (one packet)",
        generator="anysocket_e2e",
        load={"connections": 2, "outstanding": 1, "size": 1 << 20},
        baseline=NPM_ANYSOCKET,
        subject=WIREHOP_ANYSOCKET_E2E,
        target=4.0,
        others=(NPM_ANYSOCKET_PLAIN,),
        demands=((NPM_ANYSOCKET_PLAIN, 1.0),),
        generators={NPM_ANYSOCKET_PLAIN: "anysocket"},
    ),
    Scenario(
        name="anysocket-rpc-64x1",
        title="anysocket RPC: 64 peers with 1 call under way each, 64 bytes",
        generator="anysocket",
        load={"connections": 64, "outstanding": 1, "size": 64, "rpc": 1},
        baseline=NPM_ANYSOCKET,
        subject=WIREHOP_ANYSOCKET,
        target=3.3,
        others=(BARE_PICOWS,),
    ),
    Scenario(
        name="anysocket-rpc-1x64",
        title="anysocket RPC: 1 peer with 64 calls under way, 64 bytes",
        generator="anysocket",
        load={"connections": 1, "outstanding": 64, "size": 64, "rpc": 1},
        baseline=NPM_ANYSOCKET,
        subject=WIREHOP_ANYSOCKET,
        target=4.8,
        others=(BARE_PICOWS,),
    ),
    Scenario(
        name="anysocket-client",
        title=f"anysocket client: {CLIENT_OUTSTANDING} requests under way with a server in C, 64 bytes",
        generator="anysocket_echo",
        load={"connections": 1, "outstanding": CLIENT_OUTSTANDING},
        baseline=NPM_ANYSOCKET_CLIENT,
        subject=WIREHOP_ANYSOCKET_CLIENT,
        target=4.0,
    ),
    Scenario(
        name="http-64x1",
        title="HTTP/1.1 Hello World: 64 connections with 1 request under way each",
        generator="http",
        load={"connections": 64, "pipeline": 1},
        baseline=NODE_HTTP,
        subject=WIREHOP_HTTP,
        target=1.8,
        others=(AIOHTTP, UVICORN, GRANIAN, BARE_HTTPTOOLS),
        demands=((GRANIAN, 1.0),),
    ),
    Scenario(
        name="http-pipelined",
        title="HTTP/1.1 Hello World: 64 connections with 16 requests under way each, written together",
        generator="http",
        load={"connections": 64, "pipeline": 16},
        baseline=NODE_HTTP,
        subject=WIREHOP_HTTP,
        target=4.5,
        others=(AIOHTTP, UVICORN, GRANIAN, BARE_HTTPTOOLS),
    ),
    Scenario(
        name="http-browser",
        title="HTTP/1.1 Hello World: 64 connections with 1 request under way each, 12 headers of a browser",
        generator="http",
        load={"connections": 64, "pipeline": 1, "headers": 1},
        baseline=NODE_HTTP,
        subject=WIREHOP_HTTP,
        target=1.8,
        others=(UVICORN, BARE_HTTPTOOLS),
    ),
    Scenario(
        name="http-javascript",
        title="HTTP/1.1 Hello World in JavaScript: 64 connections with 1 request under way each",
        generator="http",
        load={"connections": 64, "pipeline": 1},
        baseline=NODE_HTTP,
        subject=WIREHOP_V8,
        target=0.7,
        others=(WIREHOP_QUICKJS, WIREHOP_PYTHON_HTTP),
    ),
    Scenario(
        name="tcp-echo",
        title="TCP echo: 64 connections with 1 message under way each, 64 bytes",
        generator="echo",
        load={"connections": 64, "outstanding": 1, "size": 64},
        baseline=BARE_TCP,
        subject=WIREHOP_TCP,
        target=0.9,
        others=(NODE_NET,),
    ),
    Scenario(
        name="sockhop-64x1",
        title="sockhop request and response: 64 clients with 1 request under way each, 64 bytes",
        generator="sockhop",
        load={"connections": 64, "outstanding": 1, "size": 64},
        baseline=NPM_SOCKHOP,
        subject=WIREHOP_SOCKHOP,
        target=1.3,
        others=(BARE_SOCKHOP,),
    ),
    Scenario(
        name="sockhop-1x64",
        title="sockhop request and response: 1 client with 64 requests under way, 64 bytes",
        generator="sockhop",
        load={"connections": 1, "outstanding": 64, "size": 64},
        baseline=NPM_SOCKHOP,
        subject=WIREHOP_SOCKHOP,
        target=1.5,
        others=(BARE_SOCKHOP,),
    ),
    Scenario(
        name="sockhop-oneway",
        # The second group is there while the answer to the first one is on its way.
        title="sockhop messages one way: 4 clients, each 64th of 64 bytes calls back, 128 under way",
        generator="sockhop",
        load={"connections": 4, "outstanding": 2, "size": 64, "group": 64},
        baseline=NPM_SOCKHOP,
        subject=WIREHOP_SOCKHOP,
        target=1.4,
        others=(BARE_SOCKHOP,),
    ),
    Scenario(
        name="sockhop-1mib",
        title="sockhop request and response: 2 clients with 1 request under way each, 1 MiB",
        generator="sockhop",
        load={"connections": 2, "outstanding": 1, "size": 1 << 20},
        baseline=NPM_SOCKHOP,
        subject=WIREHOP_SOCKHOP,
        target=2.5,
    ),
    Scenario(
        name="sockhop-unix-1x64",
        title="sockhop over a Unix socket: 1 client with 64 requests under way, 64 bytes",
        generator="sockhop",
        load={"connections": 1, "outstanding": 64, "size": 64},
        baseline=NPM_SOCKHOP_UNIX,
        subject=WIREHOP_SOCKHOP_UNIX,
        target=1.5,
    ),
    Scenario(
        name="sockhop-client",
        title=f"sockhop client: {CLIENT_OUTSTANDING} requests under way with a server in C, 64 bytes",
        generator="sockhop_echo",
        load={"connections": 1, "outstanding": CLIENT_OUTSTANDING},
        baseline=NPM_SOCKHOP_CLIENT,
        subject=WIREHOP_SOCKHOP_CLIENT,
        target=1.3,
    ),
    IdleScenario(
        name="idle-memory",
        title="Memory of an idle connection, which has had one answer",
        loads=(
            IdleLoad("HTTP connections", "http", 2000, (NODE_HTTP, WIREHOP_HTTP, AIOHTTP, UVICORN, GRANIAN)),
            IdleLoad(
                "anysocket peers",
                "anysocket",
                1000,
                (NPM_ANYSOCKET, WIREHOP_ANYSOCKET),
                limit=(WIREHOP_ANYSOCKET, 15.0),
            ),
            IdleLoad("sockhop clients", "sockhop", 1000, (NPM_SOCKHOP, WIREHOP_SOCKHOP)),
        ),
    ),
    GrowthScenario(
        name="javascript-memory",
        title="Memory over a million requests: Hello World in JavaScript",
        generator="http",
        load={"connections": 64, "pipeline": 1},
        servers=(NODE_HTTP, WIREHOP_V8, WIREHOP_QUICKJS, WIREHOP_PYTHON_HTTP),
        # What V8 has not collected yet comes and goes by some MiB.
        limit=16.0,
    ),
)
