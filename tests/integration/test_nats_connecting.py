"""A connection to real servers: let in, refused, cut, and by TLS."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import nats_servers
import nkeys
import pytest
from bench import free_port
from streams import run

from reclog.stream.account import Account
from reclog.stream.connecting import NotConnected, Refused, connected

SEED = nkeys.encode_seed(bytes(range(32)), nkeys.PREFIX_BYTE_USER)
USERS = f"""authorization {{ users: [
  {{ user: me, password: secret, permissions: {{ publish: {{ deny: "$JS.API.STREAM.CREATE.>" }} }} }}
  {{ nkey: {nkeys.from_seed(bytearray(SEED)).public_key.decode()} }} ] }}"""


def kept(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o600)
    return str(path)


async def streams(account: Account) -> int:
    """Connect and ask something that any user may; return how many streams there are."""
    connection = await connected(account, "test", [])
    try:
        return len((await connection.ask("STREAM.NAMES"))["streams"] or ())
    finally:
        await connection.leave()


def why_not(account: Account) -> str:
    with pytest.raises((NotConnected, Refused)) as told:
        run(streams(account))
    return str(told.value)


def test_who_may_is_let_in_and_who_may_not_is_told(tmp_path: Path) -> None:
    with nats_servers.one(tmp_path, USERS) as server:
        login, nkey = kept(tmp_path / "login", "me:secret\n"), kept(tmp_path / "nkey", SEED)
        assert run(streams(Account([server.url], login=login))) == 0
        assert run(streams(Account([server.url], nkey=nkey))) == 0
        for other in (Account([server.url]), Account([server.url], login=kept(tmp_path / "no", "me:wrong"))):
            assert "does not let us in" in why_not(other)
        assert why_not(Account([server.url], nkey=kept(tmp_path / "none", "no seed")))
        run(forbidden(Account([server.url], login=login)))
    assert "nobody listens there" in why_not(Account([server.url]))


async def forbidden(account: Account) -> None:
    connection = await connected(account, "test", [])
    began = time.monotonic()
    with pytest.raises(Refused, match="does not allow it"):
        await connection.ask("STREAM.CREATE.x", name="x")
    assert time.monotonic() - began < 2.5  # it is said, not waited for
    with pytest.raises(Refused, match="not found"):
        await connection.ask("STREAM.INFO.x")
    await connection.leave()


def test_a_lost_connection_is_noticed_at_once_and_another_server_known(tmp_path: Path) -> None:
    async def cut(servers: list[nats_servers.Server]) -> float:
        connection = await connected(Account([servers[0].url]), "test", [])
        known = connection.known
        assert {servers[1].url, servers[2].url} <= set(known)
        servers[0].end()
        began = time.monotonic()
        with pytest.raises(NotConnected, match="lost"):
            await connection.ask("STREAM.NAMES")
        other = await connected(Account([servers[0].url]), "test", known)
        await other.leave()
        return time.monotonic() - began

    with nats_servers.three(tmp_path) as servers:
        assert run(cut(servers)) < 3.0


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    pem, key = str(tmp_path / "pem"), str(tmp_path / "key")
    words = f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {key} -out {pem} -days 2"
    more = ("-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1")
    subprocess.run(["openssl", *words.split(), *more], check=True, capture_output=True)
    return pem, key


def test_tls_is_checked(tmp_path: Path, certificate: tuple[str, str]) -> None:
    pem, key = certificate
    more = f'tls {{ cert_file: "{pem}", key_file: "{key}", ca_file: "{pem}", verify: true }}'
    with nats_servers.one(tmp_path, more) as server:
        url = server.url.replace("nats:", "tls:")
        assert run(streams(Account([url], ca=pem, cert=pem, key=key))) == 0
        assert "not trusted" in why_not(Account([url], cert=pem, key=key))


@pytest.fixture
def impostor() -> Iterator[tuple[int, bytearray]]:
    """Listen as a server that says it needs no TLS; what it is told."""
    heard, port = bytearray(), free_port()
    listener = socket.create_server(("127.0.0.1", port))

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                sock.sendall(
                    b'INFO {"server_id":"x","version":"2.9.0","max_payload":1048576,"headers":true}\r\n'
                )
                while more := sock.recv(65536):
                    heard.extend(more)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield port, heard
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def test_no_secret_is_said_to_who_speaks_no_tls(tmp_path: Path, impostor: tuple[int, bytearray]) -> None:
    port, heard = impostor
    login = kept(tmp_path / "login", "me:secret")
    assert "speaks no TLS" in why_not(Account([f"tls://127.0.0.1:{port}"], login=login))
    assert heard == b""


def test_what_is_no_nats_server_is_named() -> None:
    def greet() -> None:
        with listener.accept()[0] as sock:
            sock.sendall(b"SSH-2.0-x\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=greet, daemon=True).start()
        assert "no NATS server" in why_not(Account([f"nats://127.0.0.1:{listener.getsockname()[1]}"]))
