"""What comes to a port that is open to the Internet: nmap, and what is made up after scanners' probes."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import ssl
import subprocess
from pathlib import Path

#: A TLS hello; what nmap's service detection says first, and some of its next; and what has no sense.
PROBES = [
    b"",
    b"\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: scanned\r\nUser-Agent: Mozilla/5.0\r\n\r\n",
    b"OPTIONS / RTSP/1.0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"HELP\r\n",
    b"EHLO scanned\r\n",
    b"SSH-2.0-libssh2_1.10\r\n",
    b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",  # RDP
    b"\x00\x00\x00\xa4\xffSMBr\x00\x00\x00\x00\x08\x01@" + bytes(140),
    b"\x80\x00\x00(r\xfe\x1d\x13\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01\x86\xa0\x00\x01\x97|" + bytes(20),
    b"\x00\x1e\x00\x06\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07version\x04bind\x00\x00\x10\x00\x03",
    b"l\x00\x0b\x00\x00\x00\x00\x00\x00\x00\x00\x00",  # X11
    b"<13>Oct 11 22:14:15 scanner su: 'su root' failed\n",
    b'{"version":"1.1","host":"scanner","short_message":"GELF"}\0',
    b"\x00\x00\x00Q}q\x00(X\x04\x00\x00\x00name" + bytes(60),  # a pickled LogRecord
    b"1 open 85 relp_version=0\nrelp_software=librelp\ncommands=syslog\n",
    b"\xac\xed\x00\x05sr\x00\x11java.lang.Integer",
    b"\n",
    b"no token at all, and no newline",
    b"\xff" * 70_000,
]


def hello() -> bytes:
    """Return a TLS hello of this Python's."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="scanned").do_handshake()
    return outgoing.read()


def scan(host: str, port: int, seed: int = 0, rounds: int = 1) -> int:
    """Send every probe, whole and cut in two, and random bytes; return how many connections that were."""
    dice = random.Random(seed)
    count = 0
    for _ in range(rounds):
        for probe in [*PROBES, hello(), *(dice.randbytes(dice.randrange(1, 3000)) for _ in range(10))]:
            for cut in (len(probe), dice.randrange(len(probe) + 1)):
                with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=5) as sock:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    count += 1
                    sock.sendall(probe[:cut])
                    sock.sendall(probe[cut:])
    return count


def http(dice: random.Random) -> bytes:
    """Return an HTTP request, as a fuzzer makes them: anything anywhere, and who is asked."""
    method, path = dice.choice([b"GET", b"POST", b"OPTIONS"]), dice.choice([b"/", b"/cgi-bin/", b"//..%2f"])
    junk = [dice.randbytes(dice.randrange(200)).translate(None, b"\r\n:") for _ in range(2)]
    body = dice.randbytes(dice.randrange(2000))
    return b"%b %b%b HTTP/1.1\r\nX%b: 1\r\nHost: scanned\r\n\r\n%b" % (method, path, *junk, body)


def probe_tls(port: int) -> list[bytes]:
    """Say each hello that OpenSSL knows, and one of SSL 2; return what is answered."""
    words = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}"]
    said = []
    for how in (["-tls1_2"], ["-tls1_3"], ["-alpn", "h2"], ["-cipher", "ALL:@SECLEVEL=0"]):
        done = subprocess.run([*words, *how], input=b"Q\n", capture_output=True, timeout=20)
        said.append(done.stdout + done.stderr)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(range(37)))
        with contextlib.suppress(ConnectionResetError):
            said.append(sock.recv(100))
    return said


def nmap(port: int, folder: Path) -> str:
    """Have nmap find out what serves a port; return what it says.

    It has its own probes, and knows their answers; it waits for each 0.1 s, not 5.
    """
    own = Path("/usr/share/nmap/nmap-service-probes").read_text("latin-1")
    hasty = re.sub(r"(?m)^(totalwaitms|tcpwrappedms) .*\n", "", own)
    probes = folder / "nmap-service-probes"
    probes.write_text(re.sub(r"(?m)^(Probe TCP .*\n)", r"\1totalwaitms 100\n", hasty), "latin-1")
    words = ["nmap", "-Pn", "-n", "-sV", "--versiondb", str(probes), "--host-timeout", "20s"]
    done = subprocess.run([*words, "-p", str(port), "127.0.0.1"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout
