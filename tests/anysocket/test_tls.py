"""wss and https: encrypted, or an error; never plaintext (threat A17, cases 47 and 48)."""

from __future__ import annotations

import asyncio
import datetime
import logging
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.anysocket.stranger import Stranger, frame
from tests.node.serving import get
from tests.programs import curl
from tests.raw import connect, until
from wirehop import AnyHTTPPeer, AnyPeer, AnySocket
from wirehop.node import tcp

LONG_AGO = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)


ENCRYPTED_KEY = """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIH0MF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBA/gV3b0l6P7JjbJrZj
n7JnAgIIADAMBggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQh1oxx5WS7IsTwyNW
OPwxVgSBkJF/uMQCzNOllrEyLlqsnSPQd2NG7l/LOSK8QfwmOAOTvi3sc7aghYdf
gV5l0+ckNsxh4hg4IYB3Qv5otNo8znv111X7TJyWO55UD1DWELBpSNOm02WACpBO
5aI/p0JsPmwQ5gdgPa55m3V7hU2UQWYKmD7qK4jXD2MqEEPXcMaKxdU4X99F6LZO
8zkZ5DLIpQ==
-----END ENCRYPTED PRIVATE KEY-----
"""
"""Of nothing: its password is not known to anybody here."""


class Certificates:
    """The files that an operator may have, good and bad."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.ca = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.ca))
        self.folder = folder
        self.cert, self.key = self._issue("good", "127.0.0.1", "localhost")
        self.other_cert, self.other_key = self._issue("other", "other.example")
        self.expired_cert, self.expired_key = self._issue(
            "expired", "127.0.0.1", not_before=LONG_AGO, not_after=LONG_AGO + datetime.timedelta(days=9)
        )
        stranger = trustme.CA().issue_cert("127.0.0.1")
        self.strange_cert, self.strange_key = self._write("strange", stranger)
        self.both = folder / "both.pem"
        self.both.write_bytes(self.cert.read_bytes() + self.key.read_bytes())
        self.garbage = folder / "garbage.pem"
        self.garbage.write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
        self.empty = folder / "empty.pem"
        self.empty.write_text("")

    def _issue(self, name: str, *identities: str, **options: Any) -> tuple[Path, Path]:
        return self._write(name, self.authority.issue_cert(*identities, **options))

    def _write(self, name: str, leaf: trustme.LeafCert) -> tuple[Path, Path]:
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        cert.write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(str(key))
        return cert, key

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.ca)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def no_traceback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.INFO)
    yield
    assert not [record for record in caplog.records if record.exc_info]
    assert len([record for record in caplog.records if record.name.startswith("wirehop")]) <= 1


async def is_served(server: AnySocket, port: int, tls: Certificates) -> AnyPeer:
    """A good client is served, over TLS."""
    client = AnySocket()
    peer = await client.connect("wss", "127.0.0.1", port, ca=tls.ca)
    server.once("message", lambda packet: packet.reply("served"))
    assert (await peer.send("?", await_reply=True)).msg == "served"  # type: ignore[union-attr]
    await client.stop()
    return peer


# --- what works


async def test_https_and_wss_on_one_port(tls: Certificates, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(1_000_000))
    async with AnySocket() as server:
        listener = await server.listen("wss", ip="127.0.0.1", port=0, cert=str(tls.cert), key=tls.key)

        @server.http.get("/pieces")
        async def pieces(peer: AnyHTTPPeer) -> None:
            for _ in range(100):
                await peer.write("x" * 10_000)
            peer.end()

        server.http.static("/files", tmp_path)
        base = f"https://localhost:{listener.port}"
        assert await curl("--cacert", tls.ca, f"{base}/pieces") == b"x" * 1_000_000
        assert await curl("--cacert", tls.ca, f"{base}/files/file") == bytes(1_000_000)
        assert await curl("--cacert", tls.ca, "-w", "%{http_code}", f"{base}/nowhere") == b"404"
        await is_served(server, listener.port, tls)


async def test_who_breaks_a_rule_over_tls_is_told_so(tls: Certificates) -> None:
    async with AnySocket() as server:
        listener = await server.listen("wss", ip="127.0.0.1", port=0, cert=tls.both)
        streams = await asyncio.open_connection("127.0.0.1", listener.port, ssl=tls.trusting())
        stranger = Stranger(*streams)
        await stranger.upgrade()
        await stranger.authenticate()
        stranger.write(frame("x", masked=False))
        assert await stranger.closed() == 1002
        await stranger.close()
        await until(lambda: not server._connections)


@pytest.mark.parametrize("how", ["cert and key", "both in one file", "context"])
async def test_the_ways_to_give_a_certificate(how: str, tls: Certificates) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls.cert, tls.key)
    options: dict[str, dict[str, Any]] = {
        "cert and key": {"cert": tls.cert, "key": tls.key},
        "both in one file": {"cert": tls.both},
        "context": {"ssl_context": context},
    }
    async with AnySocket() as server, AnySocket() as client:
        listener = await server.listen("wss", ip="127.0.0.1", port=0, **options[how])
        peer = await client.connect("wss", "localhost", listener.port, ssl_context=tls.trusting())
        assert peer.id == server.id


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_peers_join_an_https_listener(scheme: str, tls: Certificates) -> None:
    async with AnySocket() as server:
        listener = await server.listen("https", ip="127.0.0.1", port=0, cert=tls.both)
        assert await server.listen(scheme) is listener
        await is_served(server, listener.port, tls)


async def test_stop_lets_an_answer_go_out_over_tls(tls: Certificates) -> None:
    async with AnySocket() as server:
        listener = await server.listen("https", ip="127.0.0.1", port=0, cert=tls.both)
        entered, gate = asyncio.Event(), asyncio.Event()

        @server.http.get("/")
        async def slow(peer: AnyHTTPPeer) -> None:
            entered.set()
            await gate.wait()
            peer.body("x" * 1_000_000).end()

        async with connect(listener.port, tls=tls.trusting()) as raw:
            await raw.send(get())
            await entered.wait()
            stopping = asyncio.create_task(server.stop())
            await until(lambda: not server._open)
            gate.set()
            assert (await raw.response()).body == b"x" * 1_000_000
            await stopping


# --- what is refused at the call


@pytest.mark.parametrize("scheme", ["wss", "https"])
@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({}, ValueError, "needs the option cert"),
        ({"key": "key"}, ValueError, "without its cert"),
        ({"cert": "missing"}, FileNotFoundError, "No such file"),
        ({"cert": "cert", "key": "missing"}, FileNotFoundError, "No such file"),
        ({"cert": "cert"}, ssl.SSLError, "PEM"),
        ({"cert": "garbage"}, ssl.SSLError, "."),
        ({"cert": "empty"}, ssl.SSLError, "."),
        ({"cert": "folder"}, OSError, "."),
        ({"cert": "cert", "key": "other_key"}, ssl.SSLError, "KEY_VALUES_MISMATCH"),
        ({"cert": "cert", "key": "encrypted"}, ValueError, "the key is encrypted"),
        ({"ssl_context": "cert"}, TypeError, "ssl_context is an ssl.SSLContext"),
        ({"ssl_context": "context", "cert": "cert"}, ValueError, "has its certificate already"),
        ({"ssl_context": "client"}, ValueError, "one to connect with"),
    ],
)
async def test_a_bad_certificate_is_an_error(
    scheme: str, options: dict[str, str], error: type[Exception], text: str, tls: Certificates
) -> None:
    encrypted = tls.folder / "encrypted.key"
    encrypted.write_text(ENCRYPTED_KEY)
    things: dict[str, Any] = {
        "missing": tls.folder / "missing.pem",
        "encrypted": encrypted,
        "context": ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        "client": tls.trusting(),
        **{name: value for name, value in vars(tls).items() if isinstance(value, Path)},
    }
    chosen = {name: things[value] for name, value in options.items()}
    async with AnySocket() as server:
        with pytest.raises(error, match=text):
            await server.listen(scheme, ip="127.0.0.1", port=0, **chosen)
        assert server._open == []


@pytest.mark.parametrize("scheme", ["ws", "http"])
@pytest.mark.parametrize("option", ["cert", "key", "ssl_context"])
async def test_any_option_of_tls_with_a_plain_scheme_is_an_error(
    scheme: str, option: str, tls: Certificates
) -> None:
    values = {"cert": tls.cert, "key": tls.key, "ssl_context": tls.trusting()}
    async with AnySocket() as server:
        with pytest.raises(ValueError, match="is plaintext"):
            await server.listen(scheme, ip="127.0.0.1", port=0, **{option: values[option]})


async def test_wss_does_not_join_a_plain_listener(tls: Certificates) -> None:
    async with AnySocket() as server:
        await server.listen("http", ip="127.0.0.1", port=0)
        with pytest.raises(ValueError, match="is plaintext"):
            await server.listen("wss")
        with pytest.raises(ValueError, match="port is missing"):
            await server.listen("ws", cert=tls.cert)


async def test_options_of_tls_that_make_no_sense_to_connect_with(tls: Certificates) -> None:
    async with AnySocket() as client:
        for options in ({"ca": tls.ca}, {"ssl_context": tls.trusting()}):
            with pytest.raises(ValueError, match="the scheme is wss"):
                await client.connect("ws", "127.0.0.1", 1, **options)
        with pytest.raises(ValueError, match="ca is of no use"):
            await client.connect("wss", "127.0.0.1", 1, ca=tls.ca, ssl_context=tls.trusting())
        servers = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        with pytest.raises(ValueError, match="one to listen with"):
            await client.connect("wss", "127.0.0.1", 1, ssl_context=servers)
        with pytest.raises(TypeError, match=r"ssl\.SSLContext"):
            await client.connect("wss", "127.0.0.1", 1, ssl_context=True)
        with pytest.raises(FileNotFoundError):
            await client.connect("wss", "127.0.0.1", 1, ca=tls.folder / "missing.pem")
        for ca in (tls.garbage, tls.empty):
            with pytest.raises(ssl.SSLError):
                await client.connect("wss", "127.0.0.1", 1, ca=ca)


async def test_wss_first_falls_back_for_a_server_without_tls_and_not_for_a_bad_option(
    tls: Certificates,
) -> None:
    async with AnySocket() as server, AnySocket() as client:
        listener = await server.listen("ws", ip="127.0.0.1", port=0)
        with pytest.raises(FileNotFoundError):
            await client.connect(
                "ws", "127.0.0.1", listener.port, wss_first=True, ca=tls.folder / "missing.pem"
            )
        assert not server.peers
        await client.connect("ws", "127.0.0.1", listener.port, wss_first=True, ca=tls.ca)
        assert list(server.peers) == [client.id]


# --- whom a client refuses


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("other", "IP address mismatch|doesn't match"),
        ("expired", "expired"),
        ("strange", "unable to get local issuer"),
    ],
)
async def test_a_certificate_that_is_not_good_is_refused(name: str, text: str, tls: Certificates) -> None:
    async with AnySocket() as server, AnySocket() as client:
        cert, key = getattr(tls, f"{name}_cert"), getattr(tls, f"{name}_key")
        listener = await server.listen("wss", ip="127.0.0.1", port=0, cert=cert, key=key)
        with pytest.raises(ssl.SSLCertVerificationError, match=text):
            await client.connect("wss", "127.0.0.1", listener.port, ca=tls.ca)
        # And with the trust of the system, which knows nothing of this authority.
        with pytest.raises(ssl.SSLCertVerificationError):
            await client.connect("wss", "127.0.0.1", listener.port)
        assert not server._connections
        assert not client._connections


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\x00\x02\x02\x28"]
)
async def test_a_client_of_wss_says_nothing_in_plaintext(answer: bytes, tls: Certificates) -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65_536))
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with server, AnySocket() as client:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OSError):
            await client.connect("wss", "127.0.0.1", port, ca=tls.ca, cookies={"secret": "s3cr3t"})
    assert len(heard) == 1
    assert heard[0].startswith(b"\x16\x03\x01")
    assert b"s3cr3t" not in heard[0]


async def test_a_server_that_never_shakes_hands_times_out(tls: Certificates) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server, AnySocket() as client:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TimeoutError):
            await client.connect("wss", "127.0.0.1", port, ca=tls.ca, auth_timeout=0.1)


# --- old TLS


def old(context: ssl.SSLContext) -> ssl.SSLContext:
    """A context that speaks TLS 1.0 and 1.1 only, and every cipher that its library has."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


async def test_a_client_of_old_tls_is_refused(tls: Certificates) -> None:
    permitting = old(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
    permitting.load_cert_chain(tls.both)
    async with AnySocket() as server:
        listener = await server.listen("wss", ip="127.0.0.1", port=0, cert=tls.both)
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            async with connect(listener.port, tls=old(tls.trusting())):
                pass
        await is_served(server, listener.port, tls)
        # It is not for anything else: who asks for old TLS gets it.
        listener = await server.listen("https", ip="127.0.0.1", port=0, ssl_context=permitting)
        async with connect(listener.port, tls=old(tls.trusting())) as raw:
            assert (await raw.ask(get())).status == 404


async def test_a_server_of_old_tls_is_refused(tls: Certificates) -> None:
    context = old(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
    context.load_cert_chain(tls.both)
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    loop = asyncio.get_running_loop()
    # The server's own failed handshake is its business.
    loop.set_exception_handler(lambda loop, context: None)
    async with server, AnySocket() as client:
        with pytest.raises(OSError):
            await client.connect("wss", "127.0.0.1", server.sockets[0].getsockname()[1], ca=tls.ca)


# --- who never finishes


HELLO = bytes.fromhex("160301020001 0001fc0303")


@pytest.mark.parametrize("said", [b"", b"\x16", HELLO], ids=["silent", "a byte", "half a hello"])
async def test_half_a_handshake_is_gone_in_time(
    said: bytes, tls: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tcp.HANDSHAKE_TIMEOUT <= 10
    monkeypatch.setattr(tcp, "HANDSHAKE_TIMEOUT", 0.2)
    async with AnySocket() as server:
        listener = await server.listen("wss", ip="127.0.0.1", port=0, cert=tls.both)
        async with connect(listener.port) as raw:
            await raw.send(said)
            await is_served(server, listener.port, tls)
            try:
                assert await raw.read_all() == b""
            except ConnectionResetError:
                pass
        await is_served(server, listener.port, tls)


@pytest.mark.parametrize(
    "said", [get(), b"garbage\r\n\r\n" * 100, bytes(1000)], ids=["http", "text", "zeros"]
)
async def test_plaintext_on_a_port_of_tls_gets_no_answer_in_plaintext(said: bytes, tls: Certificates) -> None:
    async with AnySocket() as server:
        requests: list[AnyHTTPPeer] = []
        server.http.get("/", requests.append)
        listener = await server.listen("https", ip="127.0.0.1", port=0, cert=tls.both)
        await server.listen("wss")
        async with connect(listener.port) as raw:
            await raw.send(said)
            try:
                assert b"HTTP" not in await raw.read_all()
            except ConnectionResetError:
                pass
        assert requests == []
        await is_served(server, listener.port, tls)
