"""TLS through a tremplin: its certificate goes there, is shown whoever starts the relay, then it is gone."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from bench import wait_until
from tls_sender import tls_connection
from tremplin_bench import Tremplin, TremplinRecording


def certificate_of(recording: TremplinRecording) -> str:
    return str(json.loads((recording.folder / "config.json").read_text())["tls_cert"])


def test_senders_speak_tls_to_a_tremplin(trem: Tremplin) -> None:
    recording = trem.open("--tls")
    certificate = certificate_of(recording)
    made = subprocess.run(
        ["openssl", "x509", "-in", certificate, "-noout", "-text"], capture_output=True, text=True
    )
    assert "IP Address:127.0.0.1" in made.stdout
    assert "DNS:trem" in made.stdout
    folder = trem.relays / str(recording.port)
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.glob("tls.*")} == {
        "tls.pem": 0o600,
        "tls.key": 0o600,
    }
    says = [
        "openssl",
        "s_client",
        "-connect",
        f"127.0.0.1:{recording.port}",
        "-CAfile",
        certificate,
        "-quiet",
    ]
    trusting = ["-verify_return_error", "-verify_ip", "127.0.0.1", "-no_ign_eof"]
    subprocess.run([*says, *trusting], input=b"by TLS\n", capture_output=True, check=True, timeout=20)
    wait_until(lambda: b"by TLS\n" in recording.read())
    recording.send(b"plain\n")
    done = trem.home.inv("test-connection")
    assert done.returncode == 0, done.stderr
    # The relay dies, and its collector starts it with what is in its folder.
    killed = recording.relay
    killed.kill()
    wait_until(lambda: not killed.is_running())
    wait_until(lambda: trem.home.inv("test-connection").returncode == 0, 20)
    # The same command again prints what a device has to know.
    done = recording.again()
    assert f"\nTLS certificate: {certificate}\n" in done.stdout
    assert re.search(r"\nTLS SHA-256: [0-9a-f]{64}\n", done.stdout)
    assert b"plain" not in recording.read()
    assert recording.kill().returncode == 0
    assert trem.files() == []


def test_a_relay_shows_another_certificate_once_it_was_taken_up_again(trem: Tremplin, tmp_path: Path) -> None:
    words = "req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -subj /CN=x"
    more = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(["openssl", *words.split(), *more], cwd=tmp_path, check=True, capture_output=True)
    given = ["--tls", "--tls-cert", str(tmp_path / "c.pem"), "--tls-key", str(tmp_path / "k.pem")]
    recording = trem.open("--tls", "--tls-clients", str(tmp_path / "c.pem"))
    done = recording.again(*given)
    assert done.returncode == 1
    assert "does not change while it runs" in done.stderr
    recording.daemon.kill()
    wait_until(lambda: recording.status()["state"] == "dead")
    done = recording.again(*given)
    assert done.returncode == 0, done.stderr
    assert "--tls-clients asks for a certificate, so no line was sent" in done.stdout
    show = (str(tmp_path / "c.pem"), str(tmp_path / "k.pem"))
    with tls_connection(recording.port, show[0], show=show) as sock:
        sock.sendall(b"shown\n")
    wait_until(lambda: recording.read() == b"shown\n")
