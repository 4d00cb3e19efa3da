"""TLS on both ends, and never plaintext where it was asked for."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.anysocket.test_tls import ENCRYPTED_KEY
from tests.sockhop.linking import Told, linked
from wirehop import SockhopClient, SockhopServer, SockhopSession
from wirehop.sockhop import carrier


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def files(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert = ca.issue_cert("127.0.0.1", "localhost")
    paths = {name: folder / f"{name}.pem" for name in ("ca", "cert", "key")}
    ca.cert_pem.write_to_path(paths["ca"])
    cert.cert_chain_pems[0].write_to_path(paths["cert"])
    cert.private_key_pem.write_to_path(paths["key"])
    return paths


async def test_both_ends_with_paths(files: dict[str, Path]) -> None:
    async with linked({"cert": files["cert"], "key": files["key"]}, {"ca": files["ca"]}) as link:
        await link.are_alive()
        link.server.on("request", lambda req, res, meta: res.send("x" * (1 << 20)))
        assert len((await link.client.request("x").next()).data) == 1 << 20


async def test_s22_what_was_sent_arrives_before_the_end(files: dict[str, Path]) -> None:
    async with linked({"cert": files["cert"], "key": files["key"]}, {"ca": files["ca"]}) as link:
        link.client.send("x" * (1 << 20))
        await link.client.disconnect()
        assert len(await link.at_server.first("receive")) == 1 << 20


async def test_s22_what_was_sent_waits_for_a_session_that_starts_slowly(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carrier, "LINGER", 0.02)
    started = asyncio.Event()

    class Slow(SockhopSession):
        async def start(self) -> None:
            await started.wait()

    options = {"cert": files["cert"], "key": files["key"], "session_type": Slow}
    async with SockhopServer(port=0, **options) as server:  # type: ignore[arg-type]
        told = Told(server)
        client = SockhopClient(port=server.port, ca=files["ca"])
        await client.connect()
        client.send("first")
        client.send("x" * 100_000)
        leaving = asyncio.ensure_future(client.disconnect())
        # Far longer than a connection lingers whose other side does not answer.
        await asyncio.sleep(0.2)
        started.set()
        assert await told.first("receive") == "first"
        assert len(await told.first("receive")) == 100_000
        await told.args("disconnect")
        await leaving


async def test_contexts_and_unix_sockets(ca: trustme.CA, tmp_path: Path) -> None:
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("localhost").configure_cert(ours)
    theirs = ssl.create_default_context()
    ca.configure_trust(theirs)
    async with linked({"path": tmp_path / "s", "ssl_context": ours}, {"ssl_context": theirs}) as link:
        await link.are_alive()


@pytest.mark.parametrize("spelling", ["rejectUnauthorized", "reject_unauthorized"])
async def test_s17_a_single_option_of_node_means_tls(files: dict[str, Path], spelling: str) -> None:
    server = {"cert": files["cert"], "key": files["key"]}
    async with linked(server, {"ssl_options": {spelling: False}}) as link:
        await link.are_alive()
    async with linked(
        server, {"ssl_options": {"ca": files["ca"].read_text(), "servername": "localhost"}}
    ) as link:
        await link.are_alive()
    async with linked(server, {"ssl_options": {"ca": files["ca"].read_bytes(), "ciphers": "HIGH"}}) as link:
        await link.are_alive()


@pytest.mark.parametrize("options", [{"ssl": True}, {"ssl_options": {"ciphers": "HIGH"}}])
async def test_s18_case_47_a_certificate_that_nobody_trusts_is_a_rejection_only(
    files: dict[str, Path], options: Any
) -> None:
    async with SockhopServer(port=0, cert=files["cert"], key=files["key"]) as server:
        client = SockhopClient(port=server.port, **options)
        told = Told(client)
        with pytest.raises(ssl.SSLCertVerificationError):
            await client.connect()
        assert told.all == []
        assert server.sockets == []


async def test_a_certificate_for_another_name(files: dict[str, Path]) -> None:
    async with SockhopServer(port=0, cert=files["cert"], key=files["key"]) as server:
        client = SockhopClient(port=server.port, ca=files["ca"], ssl_options={"servername": "elsewhere"})
        with pytest.raises(ssl.SSLCertVerificationError):
            await client.connect()


async def test_a_plaintext_server_gets_no_plaintext() -> None:
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.put_nowait(await reader.read(1))
        writer.close()

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    client = SockhopClient(port=listening.sockets[0].getsockname()[1], ssl_options={"ciphers": "HIGH"})
    connecting = client.connect()
    client.send("secret")
    with pytest.raises(OSError):
        await connecting
    # The first byte of a TLS handshake.
    assert await got.get() == b"\x16"
    listening.close()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"ssl_options": {"cart": "x"}}, TypeError),
        ({"ssl_options": {"key": "x"}}, ValueError),
        ({"ssl_options": {"cert": "/nonexistent"}}, OSError),
        ({"ca": "/nonexistent"}, OSError),
        ({"ca": "/x", "ssl_context": ssl.create_default_context()}, ValueError),
        ({"ssl_context": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)}, ValueError),
        ({"ssl_context": "cert.pem"}, TypeError),
    ],
)
def test_options_of_a_client_that_do_not_fit(options: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        SockhopClient(**options)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"key": "/x"}, ValueError),
        ({"cert": "/nonexistent"}, OSError),
        ({"cert": "/x", "ssl_context": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)}, ValueError),
        ({"ssl_context": ssl.create_default_context()}, ValueError),
        ({"ssl_context": "cert.pem"}, TypeError),
    ],
)
def test_options_of_a_server_that_do_not_fit(options: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        SockhopServer(**options)


def test_a_key_that_needs_a_passphrase_is_an_error_and_no_question(
    files: dict[str, Path], tmp_path: Path
) -> None:
    key = tmp_path / "encrypted.key"
    key.write_text(ENCRYPTED_KEY)
    with pytest.raises(ValueError, match="the key is encrypted"):
        SockhopServer(cert=files["cert"], key=key)
    with pytest.raises(ValueError, match="the key is encrypted"):
        SockhopClient(ssl_options={"cert": files["cert"], "key": key})


async def test_certificates_as_paths_or_pem_or_lists(
    ca: trustme.CA, files: dict[str, Path], tmp_path: Path
) -> None:
    """As in Node's ``tls.connect``. The server wants to see who comes."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files["cert"], files["key"])
    context.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(context)
    paths = {name: str(path) for name, path in files.items()}
    texts = {name: path.read_text() for name, path in files.items()}
    octets = {name: path.read_bytes() for name, path in files.items()}
    stranger = trustme.CA()
    other = tmp_path / "other.pem"
    stranger.cert_pem.write_to_path(other)
    together = {"ca": paths["ca"], "cert": texts["cert"] + texts["key"]}
    commented = {**texts, "ca": "# été\n" + texts["ca"]}
    several = {"ca": [other, files["ca"], stranger.cert_pem.bytes().decode()]}
    for options in (
        paths,
        files,
        texts,
        octets,
        commented,
        together,
        {**paths, **several},
        {**texts, "ca": [texts["ca"], octets["ca"]]},
        {"ca": [texts["ca"]], "cert": [octets["cert"]], "key": (paths["key"],)},
    ):
        async with linked({"ssl_context": context}, {"ssl_options": options}) as link:
            await link.are_alive()


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"minVersion": "TLSv1.2"}, TypeError, "no 'minVersion'; there are ca, cert, key, passphrase, serv"),
        ({"ca": 5}, TypeError, "ca is a path, or PEM as text or bytes, not int"),
        ({"ca": []}, ValueError, "ca is an empty list"),
        ({"cert": b"/a/path"}, ValueError, "cert is no PEM"),
        ({"cert": ["a", "b"], "key": "a"}, ValueError, "2 certs and 1 keys"),
        ({"ca": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, ssl.SSLError, None),
    ],
)
def test_ssl_options_that_say_nothing(options: Any, error: type[Exception], text: str | None) -> None:
    with pytest.raises(error, match=text) as raised:
        SockhopClient(ssl_options=options)
    assert "_context" not in str(raised.value)
