"""Programs that people log with, each pointed at a port: what they send, they send as they always do."""

from __future__ import annotations

import logging
import logging.handlers
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import wait_until

from benchmarks import debs

#: Says something to a port; a daemon is one that runs already, and is told.
Sender = Callable[[int], object]


def run(*command: str, text: bytes = b"", fails: bool = False) -> bytes:
    """Run a command that sends `text`, or what its words say; return what it prints."""
    done = subprocess.run(command, input=text, capture_output=True, timeout=20, check=False)
    assert fails or done.returncode == 0, done
    return done.stdout + done.stderr


def logs(handler: logging.Handler, message: str) -> None:
    record = logging.LogRecord("demo", logging.INFO, "demo.py", 1, message, (), None)
    handler.handle(record)
    handler.close()


def syslog_handler(port: int) -> None:
    address = ("127.0.0.1", port)
    handler = logging.handlers.SysLogHandler(address, socktype=socket.SOCK_STREAM)
    logs(handler, "hello from Python\n  on two lines")


def socket_handler(port: int) -> None:
    logs(logging.handlers.SocketHandler("127.0.0.1", port), "hello")


def gelf(port: int) -> None:
    run(
        sys.executable,
        "-c",
        "import logging, sys, pygelf; log = logging.getLogger();"
        f"log.addHandler(pygelf.GelfTcpHandler(host='127.0.0.1', port={port}));"
        "log.error('hello from pygelf'); log.error('and again')",
    )


def perl(port: int) -> None:
    run(
        "perl",
        "-MSys::Syslog=:standard,:extended",
        "-e",
        f'setlogsock({{type => "tcp", host => "127.0.0.1", port => {port}}}) or die;'
        'openlog("demo", "ndelay,nofatal", "user"); syslog("info", "hello from Perl"); closelog();',
    )


def logger(*words: str) -> Sender:
    return lambda port: run(
        "logger", "--tcp", "--server", "127.0.0.1", "--port", str(port), *words, "hello from logger"
    )


def netcat(port: int) -> None:
    run("nc", "-N", "127.0.0.1", str(port), text=b"hello from netcat\n5 apples\n{ not json\n")


def bash(port: int) -> None:
    run("bash", "-c", f"echo hello from bash >/dev/tcp/127.0.0.1/{port}")


def curl(port: int) -> None:
    said = run("curl", "--silent", "--show-error", f"http://127.0.0.1:{port}/metrics")
    assert said.startswith(b"This port records lines of text")


def openssl(port: int) -> None:
    said = run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", text=b"hello\n", fails=True)
    assert b"alert handshake failure" in said


def fluentd(port: int) -> None:
    """Send what Docker's fluentd driver sends: an array of a tag, a time, a record and options."""
    record = b"\x82\xa3log\xa5hello\xa6source\xa6stdout"
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(
            b"\x94\xacfd0fcd9d2b34" + b"\xd2" + int(time.time()).to_bytes(4, "big") + record + b"\x80"
        )
        assert sock.recv(1) == b""


class Forwarder:
    """A system logger that forwards what it is told over a UNIX socket."""

    def __init__(self, command: list[str], env: dict[str, str], path: Path) -> None:
        self._path = path
        self._daemon = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL)

    def tell(self, text: bytes) -> None:
        wait_until(lambda: self._told(text), what="the system logger listens")

    def end(self) -> None:
        self._daemon.terminate()
        self._daemon.wait(20)

    def _told(self, text: bytes) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            try:
                sock.sendto(text, str(self._path))
            except OSError:
                return False
            return True


def rsyslog(folder: Path, port: int, trusted: str = "") -> Forwarder:
    """Return one that forwards what says `plain`, `counted`, `datagram` so; by TLS to who is `trusted`."""
    tree = debs.unpacked("rsyslog", debs.CACHE)
    conf, path = folder / "rsyslog.conf", folder / "rsyslog.sock"
    driver = (
        'StreamDriver="ossl" StreamDriverMode="1" StreamDriverAuthMode="x509/certvalid"' if trusted else ""
    )
    ca_file = f'DefaultNetstreamDriverCAFile="{trusted}"' if trusted else ""
    actions = "\n".join(
        f'if $msg contains "{name}" then action(type="omfwd" target="127.0.0.1" port="{port}" '
        f'template="RSYSLOG_ForwardFormat" {how})'
        for name, how in (
            ("plain", f'protocol="tcp" TCP_Framing="traditional" {driver}'),
            ("counted", f'protocol="tcp" TCP_Framing="octet-counted" {driver}'),
            ("datagram", 'protocol="udp"'),
        )
    )
    conf.write_text(f"""\
global(workDirectory="{folder}" parser.escapeControlCharactersOnReceive="off" {ca_file})
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{path}")
{actions}
""")
    trees = [tree, *([debs.unpacked("rsyslog-openssl", debs.CACHE)] if trusted else [])]
    modules = ":".join(str(one) for each in trees for one in each.glob("usr/lib/*/rsyslog"))
    program = str(tree / "usr" / "sbin" / "rsyslogd")
    command = [program, "-n", "-f", str(conf), "-i", str(folder / "rsyslog.pid"), "-M", modules]
    return Forwarder(command, debs.environment(tree), path)


def syslog_ng(folder: Path, port: int, trusted: str = "") -> Forwarder:
    """Return one that forwards what says `plain`, `counted`, `datagram` so; by TLS to who is `trusted`."""
    tree = debs.unpacked("syslog-ng-core", debs.CACHE)
    modules = next(one.parent for one in tree.glob("usr/lib/syslog-ng/*/libaffile.so"))
    conf, path = folder / "syslog-ng.conf", folder / "syslog-ng.sock"
    transport = 'transport("tcp")'
    if trusted:
        transport = f'transport("tls") tls(ca-file("{trusted}") peer-verify(yes))'
    logs = "\n".join(
        f'log {{ source(here); filter {{ message("{name}") }}; destination {{ '
        f'{destination}("127.0.0.1" port({port}) {how} persist-name("{name}")); }}; }};'
        for name, destination, how in (
            ("plain", "network", transport),
            ("counted", "syslog", transport),
            ("datagram", "network", 'transport("udp")'),
        )
    )
    conf.write_text(f"""\
@version: {modules.name}
options {{ stats-freq(0); keep-hostname(yes); }};
source here {{ unix-dgram("{path}"); }};
{logs}
""")
    command = [
        str(tree / "usr" / "sbin" / "syslog-ng"),
        *("--foreground", "--no-caps", f"--module-path={modules}", f"--cfgfile={conf}"),
        *(f"--persist-file={folder / 'ng.persist'}", f"--pidfile={folder / 'ng.pid'}"),
        f"--control={folder / 'ng.ctl'}",
    ]
    return Forwarder(command, {**debs.environment(tree), "SYSLOGNG_PREFIX": str(tree / "usr")}, path)


#: By their names in the table of docs/senders.md.
SENDERS: dict[str, Sender] = {
    "bash, `/dev/tcp`": bash,
    "netcat": netcat,
    "`logger --tcp`": logger(),
    "`logger --tcp --octet-count`": logger("--octet-count"),
    "Perl's `Sys::Syslog`": perl,
    "Python's `SysLogHandler`": syslog_handler,
    "GELF (pygelf)": gelf,
    "Python's `SocketHandler`": socket_handler,
    "curl, Prometheus, a browser": curl,
    "anything that speaks TLS": openssl,
    "Docker's fluentd driver": fluentd,
}
#: The same; these run already, and are told.
FORWARDERS = {
    "rsyslog, `omfwd`": (rsyslog, b"<13>demo: hello from rsyslog, plain"),
    "rsyslog, octet-counted": (rsyslog, b"<13>demo: hello from rsyslog, counted\n  on two lines"),
    "rsyslog, UDP": (rsyslog, b"<13>demo: hello from rsyslog, datagram\n  on two lines"),
    "syslog-ng, `network()`": (syslog_ng, b"<13>demo: hello from syslog-ng, plain"),
    "syslog-ng, `syslog()`": (syslog_ng, b"<13>demo: hello from syslog-ng, counted\n  on two lines"),
    "syslog-ng, UDP": (syslog_ng, b"<13>demo: hello from syslog-ng, datagram"),
}
