"""Recording by TLS, with real senders: what was accepted stays, who speaks something else is named."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
import real_senders
from bench import Home, Running, wait_until
from swarm import Crowd, is_closed
from tls_sender import tls_connection

from reclog.recordings.registry import Registry

PLAIN = "speaks plain text: have it speak TLS, or start without --tls"


def certificate_of(recording: Running) -> str:
    found = Registry(recording.home.state / "reclog").recordings()
    return next(one.fact("tls_cert") for one in found if one.port == recording.port)


def run(*command: str, say: bytes) -> None:
    done = subprocess.run(command, input=say, capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, (command, done.stderr)


def test_senders_of_all_kinds_say_a_line(home: Home) -> None:
    recording = home.local("--tls")
    certificate, at = certificate_of(recording), f"localhost:{recording.port}"
    trusting = [
        "-CAfile",
        certificate,
        "-verify_return_error",
        "-verify_hostname",
        "localhost",
        "-x509_strict",
    ]
    for version in ("-tls1_2", "-tls1_3"):
        words = ["s_client", "-connect", at, version, *trusting, "-quiet", "-no_ign_eof"]
        run("openssl", *words, say=f"openssl {version}\n".encode())
    run("socat", "-", f"OPENSSL:{at},cafile={certificate},verify=1", say=b"socat\n")
    context = ssl.create_default_context(cafile=certificate)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with recording.connect() as sock, context.wrap_socket(sock, server_hostname="localhost") as secured:
        secured.sendall(b"Python\n")
    lines = {b"openssl -tls1_2", b"openssl -tls1_3", b"socat", b"Python"}
    wait_until(lambda: set(recording.read().splitlines()) == lines)
    status = recording.status()
    assert (status["listener"], len(status["tls"])) == ("builtin", 64)
    done = home.inv("test-connection")
    assert done.returncode == 0, done.stderr
    assert re.search(r"TLS +ok", done.stdout)


@pytest.mark.parametrize("program", ["rsyslog", "syslog-ng"])
def test_system_loggers_by_tls(home: Home, program: str) -> None:
    recording = home.local("--tls")
    start = {"rsyslog": real_senders.rsyslog, "syslog-ng": real_senders.syslog_ng}[program]
    forwarder = start(home.path, recording.port, certificate_of(recording))
    try:
        for how in (b"plain", b"counted"):  # each over a connection of its own
            forwarder.tell(b"<13>demo: hello by TLS, " + how)
        wait_until(lambda: len(re.findall(rb" hello by TLS, (?:plain|counted)\n", recording.read())) == 2)
    finally:
        forwarder.end()
    assert recording.read().count(b"\n") == 2


def test_the_fingerprint_and_the_file_stand_on_lines_of_their_own(home: Home) -> None:
    recording = home.local("--tls")
    done = home.inv("local", "--port", str(recording.port), "--tls")
    certificate = certificate_of(recording)
    said = subprocess.run(
        ["openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"],
        capture_output=True,
        text=True,
    )
    fingerprint = said.stdout.strip().partition("=")[2].replace(":", "").lower()
    assert f"\nTLS certificate: {certificate}\n" in done.stdout
    assert f"\nTLS SHA-256: {fingerprint}\n" in done.stdout


def test_another_certificate_is_shown_to_newcomers_and_proved(home: Home, tmp_path: Path) -> None:
    recording = home.local("--tls")
    own = certificate_of(recording)
    with tls_connection(recording.port, own) as before:
        words = "req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -subj /CN=x"
        more = ["-addext", "subjectAltName=DNS:localhost"]
        subprocess.run(["openssl", *words.split(), *more], cwd=tmp_path, check=True, capture_output=True)
        given = [str(tmp_path / "c.pem"), str(tmp_path / "k.pem")]
        again = [
            "local",
            "--port",
            str(recording.port),
            "--tls",
            "--tls-cert",
            given[0],
            "--tls-key",
            given[1],
        ]
        done = home.inv(*again)
        assert done.returncode == 0, done.stderr
        assert f"Changed: --tls-cert {given[0]} --tls-key {given[1]}" in done.stdout
        before.sendall(b"before\n")
        with tls_connection(recording.port, given[0]) as after:
            after.sendall(b"after\n")
        wait_until(lambda: set(recording.read().splitlines()) == {b"before", b"after"})
    # The same file, renewed; and one who shows another than is known here.
    subprocess.run(["openssl", *words.split(), *more], cwd=tmp_path, check=True, capture_output=True)
    assert home.inv("test-connection").returncode == 0
    assert home.inv(*again).returncode == 0
    with tls_connection(recording.port, given[0]) as renewed:
        renewed.sendall(b"renewed\n")
    wait_until(lambda: b"renewed\n" in recording.read())
    done = home.inv("local", "--port", str(recording.port), "--no-tls")
    assert done.returncode == 1
    assert "runs with --tls, and that does not change while it runs" in done.stderr


def test_who_does_not_speak_tls_is_closed_and_named(home: Home) -> None:
    recording = home.local("--tls")
    with recording.connect() as plain, recording.connect() as silent:
        plain.sendall(b"plain text\n")
        wait_until(lambda: is_closed(plain))
        wait_until(lambda: [one for one in recording.events("refused") if one["why"] == PLAIN])
        assert not is_closed(silent)
        assert f" {PLAIN}." in home.inv("status").stderr
    with tls_connection(recording.port, certificate_of(recording)) as sock:
        sock.sendall(b"good\n")
        socket.socket.sendall(sock, b"\x17\x03\x03\0\x20" + b"z" * 32)
        wait_until(lambda: is_closed(sock))
    wait_until(lambda: recording.read() == b"good\n")


def test_clients_show_a_certificate(home: Home, tmp_path: Path) -> None:
    words = "req -x509 -newkey rsa:2048 -nodes -subj /CN=client -keyout"
    for name in ("one", "two"):
        named = [f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run(["openssl", *words.split(), *named], cwd=tmp_path, check=True, capture_output=True)
    recording = home.local("--tls", "--tls-clients", str(tmp_path / "one.pem"))
    certificate, at = certificate_of(recording), f"localhost:{recording.port}"
    for name in ("two", "one"):
        show = ["-cert", str(tmp_path / f"{name}.pem"), "-key", str(tmp_path / f"{name}.key")]
        command = [
            "openssl",
            "s_client",
            "-connect",
            at,
            "-CAfile",
            certificate,
            "-quiet",
            "-no_ign_eof",
            *show,
        ]
        subprocess.run(command, input=f"{name}\n".encode(), capture_output=True, timeout=20, check=False)
    with contextlib.suppress(OSError), tls_connection(recording.port, certificate) as nobody:
        nobody.sendall(b"nobody\n")
        wait_until(lambda: is_closed(nobody))
    wait_until(lambda: recording.read() == b"one\n")
    reasons = wait_until(
        lambda: [one["why"] for one in recording.events() if "its TLS fails" in one.get("why", "")]
    )
    assert reasons == [
        "its TLS fails: certificate verify failed",
        "its TLS fails: peer did not return a certificate",
    ]
    done = home.inv("test-connection")
    assert done.returncode == 0, done.stderr
    assert "no line sent" in done.stdout


def test_a_stop_under_load_keeps_each_record_that_was_accepted(home: Home) -> None:
    recording = home.local("--tls")
    certificate = certificate_of(recording)
    accepted = [0] * 8
    over = threading.Event()

    def line(sender: int, number: int) -> bytes:
        return b"%d %d %s\n" % (sender, number, b"x" * (number * 7919 % 15000))

    def send(sender: int) -> None:
        with contextlib.suppress(OSError), tls_connection(recording.port, certificate) as sock:
            number, ends = 0, [0]
            while not over.is_set():
                ends.append(ends[-1] + len(line(sender, number)))
                sock.sendall(line(sender, number))
                number += 1
                done = ends[-1] - sock.outstanding()
                accepted[sender] = sum(end <= done for end in ends[1:])

    crowd = Crowd([lambda sender=sender: send(sender) for sender in range(8)])  # type: ignore[misc]
    wait_until(lambda: min(accepted) > 50, within=20)
    done = recording.kill()
    over.set()
    crowd.join()
    assert done.returncode == 0, done.stderr + done.stdout
    recorded: dict[int, list[bytes]] = {}
    for text in recording.read().splitlines(keepends=True):
        recorded.setdefault(int(text.split()[0]), []).append(text)
    for sender in range(8):
        assert recorded[sender] == [line(sender, number) for number in range(len(recorded[sender]))]
        assert len(recorded[sender]) >= accepted[sender]


def test_half_a_record_that_never_becomes_whole_is_said(home: Home) -> None:
    recording = home.local("--tls")
    with tls_connection(recording.port, certificate_of(recording)) as sock:
        sock.sendall(b"whole\n")
        sock._tls.write(b"half\n")
        socket.socket.sendall(sock, sock._out.read()[:-3])
        wait_until(lambda: recording.read() == b"whole\n")
        done = recording.kill()
    assert done.returncode == 1
    assert "24 B of 1 sender could not be recorded: have them sent again." in done.stderr
    assert recording.read() == b"whole\n"


def test_a_killed_recorder_is_started_again_with_the_same_certificate(home: Home) -> None:
    recording = home.local("--tls", "--bind", "127.0.0.1")
    certificate = Path(certificate_of(recording)).read_bytes()
    recording.daemon.send_signal(signal.SIGKILL)
    wait_until(lambda: recording.status()["state"] == "dead")
    done = home.inv("local", "--port", str(recording.port))
    assert done.returncode == 0, done.stderr
    assert Path(certificate_of(recording)).read_bytes() == certificate
    with tls_connection(recording.port, certificate_of(recording)) as sock:
        sock.sendall(b"again\n")
    wait_until(lambda: recording.read() == b"again\n")
