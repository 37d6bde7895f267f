"""rsyslog and syslog-ng, set up to record lines as they come and to drop none for want of room."""

from __future__ import annotations

import resource
from pathlib import Path

from benchmarks import debs
from benchmarks.peers import BACKLOG, CONNECTIONS, Peer
from reclog.engine.sources.udp import BUFFER


class Rsyslog(Peer):
    """rsyslogd with one input, of the module `imtcp`, `imptcp` or `imudp`.

    Whatever is set, it skips empty lines and writes a NUL as `#000`.
    """

    def __init__(self, module: str, cache: Path) -> None:
        self.name = f"rsyslog {module}"
        self.protocol = "udp" if module == "imudp" else "tcp"
        self._module, self._cache = module, cache

    def prepare(self) -> None:
        """Fetch rsyslog if it isn't in the cache."""
        debs.unpacked("rsyslog", self._cache)

    def environment(self) -> dict[str, str]:
        """Return an environment with rsyslog's libraries."""
        return debs.environment(debs.unpacked("rsyslog", self._cache))

    def command(self, folder: Path, port: int) -> list[str]:
        """Return rsyslogd's command; write its configuration."""
        tree = debs.unpacked("rsyslog", self._cache)
        modules = [str(one) for one in tree.glob("usr/lib/*/rsyslog")]
        configuration = folder / "rsyslog.conf"
        configuration.write_text(rsyslog_configuration(self._module, folder, port))
        program = str(tree / "usr" / "sbin" / "rsyslogd")
        pid_file = str(folder / "rsyslog.pid")
        return [program, "-n", "-f", str(configuration), "-i", pid_file, "-M", ":".join(modules)]


class SyslogNg(Peer):
    """syslog-ng with one network source.

    Whatever is set, it skips empty lines, takes the CR off a line's end and ends a line at a NUL.
    """

    def __init__(self, cache: Path, protocol: str = "tcp") -> None:
        self.name = "syslog-ng" if protocol == "tcp" else f"syslog-ng {protocol}"
        self.protocol = protocol
        self._cache = cache

    def prepare(self) -> None:
        """Fetch syslog-ng if it isn't in the cache."""
        debs.unpacked("syslog-ng-core", self._cache)

    def environment(self) -> dict[str, str]:
        """Return an environment with syslog-ng's libraries."""
        return syslog_ng_environment(debs.unpacked("syslog-ng-core", self._cache))

    def command(self, folder: Path, port: int) -> list[str]:
        """Return syslog-ng's command; write its configuration."""
        tree = debs.unpacked("syslog-ng-core", self._cache)
        configuration = folder / "syslog-ng.conf"
        configuration.write_text(
            syslog_ng_configuration(_syslog_ng_version(tree), folder, port, self.protocol)
        )
        return [
            str(tree / "usr" / "sbin" / "syslog-ng"),
            "--foreground",
            "--no-caps",
            f"--fd-limit={resource.getrlimit(resource.RLIMIT_NOFILE)[1]}",
            f"--module-path={_syslog_ng_modules(tree)}",
            f"--cfgfile={configuration}",
            f"--persist-file={folder / 'syslog-ng.persist'}",
            f"--pidfile={folder / 'syslog-ng.pid'}",
            f"--control={folder / 'syslog-ng.ctl'}",
        ]


def loggen(cache: Path) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment of loggen, syslog-ng's generator of load.

    Its lines are to be of 128 bytes at least: it leaves the newline off shorter ones. Raises `Missing` if it
    can't be fetched.
    """
    tree = debs.unpacked("syslog-ng-core", cache)
    return [str(tree / "usr" / "bin" / "loggen")], syslog_ng_environment(tree)


def rsyslog_configuration(module: str, folder: Path, port: int) -> str:
    """Return a configuration that records lines as they come, in `folder`."""
    # imtcp has no option for its backlog: it is a tenth of the sessions, and 5.
    limits = {"imtcp": f'MaxSessions="{CONNECTIONS}"', "imudp": 'batchSize="128"'}.get(module, "")
    of_input = {
        "imtcp": 'supportOctetCountedFraming="off"',
        "imptcp": f'supportOctetCountedFraming="off" SocketBacklog="{BACKLOG}" MaxSessions="{CONNECTIONS}"',
        "imudp": f'rcvbufSize="{BUFFER}"',
    }[module]
    return f"""\
global(
    workDirectory="{folder}"
    maxMessageSize="64k"
    net.enableDNS="off"
    # What isn't a message of syslog stays as it is.
    parser.escapeControlCharactersOnReceive="off"
)
module(load="{module}" {limits})

# Room for what 6,000 senders have on their way. When it is full all the same, senders wait: by default, lines
# would be dropped after two seconds. The list takes memory only for lines that are in it.
main_queue(
    queue.type="LinkedList"
    queue.size="1000000"
    queue.dequeueBatchSize="1024"
    queue.timeoutEnqueue="600000"
)

template(name="line" type="string" string="%rawmsg%\\n")

# One parser, instead of two tried in turn. Without octet counting, a line may begin with a number.
ruleset(name="record" parser="rsyslog.rfc3164") {{
    # Written a batch at a time (flushOnTXEnd, the default), and no write smaller for want of a buffer.
    action(type="omfile" file="{folder / "file.log"}" template="line" ioBufferSize="64k")
}}
input(
    type="{module}" address="127.0.0.1" port="{port}" ruleset="record"
    {of_input}
)
"""


def syslog_ng_configuration(version: str, folder: Path, port: int, protocol: str = "tcp") -> str:
    """Return a configuration that records lines as they come, in `folder`."""
    # Each connection gets an equal part of the window: 1,000 lines, ten times the least that is allowed. The
    # queue holds the whole window, which with flow-control is what keeps it from dropping lines.
    window = CONNECTIONS * 1000
    limits = {
        "tcp": f"max-connections({CONNECTIONS}) listen-backlog({BACKLOG})",
        "udp": f"so-rcvbuf({BUFFER})",
    }[protocol]
    return f"""\
@version: {version}
options {{
    stats-freq(0);
    use-dns(no);
    dns-cache(no);
    keep-hostname(yes);
    log-msg-size(65536);
    threaded(yes);
}};
source s_network {{
    network(
        transport("{protocol}") ip("127.0.0.1") port({port})
        flags(no-parse)
        {limits}
        log-iw-size({window})
        log-fetch-limit(1000)
    );
}};
destination d_file {{
    file(
        "{folder / "file.log"}"
        template("$MSG\\n")
        log-fifo-size({window})
        # Lines go into the file in writes of up to so many; with fewer at hand it doesn't wait for more.
        flush-lines(1000)
    );
}};
log {{
    source(s_network);
    destination(d_file);
    flags(flow-control);
}};
"""


def syslog_ng_environment(tree: Path) -> dict[str, str]:
    """Return the environment in which syslog-ng's programs find their libraries and plugins in `tree`."""
    return {**debs.environment(tree), "SYSLOGNG_PREFIX": str(tree / "usr")}


def _syslog_ng_modules(tree: Path) -> Path:
    """Return the folder of syslog-ng's modules, which is named for its version."""
    return next(path.parent for path in tree.glob("usr/lib/syslog-ng/*/libaffile.so"))


def _syslog_ng_version(tree: Path) -> str:
    """Return the version that a configuration is to name: two numbers."""
    return _syslog_ng_modules(tree).name
