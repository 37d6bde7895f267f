"""What is no text, told by exactly how it begins, and what is said to whoever sends it.

Rules kept here:

- Only what no text begins with counts. The one exception is an HTTP request, which somebody may send by hand:
  it has to be one with its Host, line by line.
- It is pure, and knows a stream's beginning alone: `no_text` what that is by now, `may_become` whether more
  of it could still show so. What does not show it in `AT_MOST` bytes is text.
"""

from __future__ import annotations

import re
from typing import Dict, List, NamedTuple, Pattern, Tuple, Union

from ..streams.stream import Unspoken

Buffer = Union[bytes, bytearray]

#: Bytes after which what could be the beginning of one is none.
AT_MOST = 8192


class NoText(NamedTuple):
    """A protocol that is none of text."""

    #: What its sender does, and what helps.
    what: str
    fix: str
    #: What it understands as a refusal; empty where it hears none.
    answer: bytes = b""

    @property
    def why(self) -> Unspoken:
        """What it does, with what helps."""
        return Unspoken(f"{self.what}: {self.fix}")


class _Kind(NamedTuple):
    #: What begins otherwise, of 16 bytes at least, is none.
    looks: Tuple[bytes, ...]
    whole: Pattern[bytes]
    #: What matches all of a beginning of it.
    begun: Pattern[bytes]
    is_one: NoText


def _steps(*steps: bytes) -> tuple[Pattern[bytes], Pattern[bytes]]:
    """Return the patterns of what consists of `steps`, and of its beginnings."""
    begun = b""
    for step in reversed(steps[:-1]):
        begun = step + (b"(?:" + begun + b")?" if begun else b"")
    return re.compile(b"".join(steps), re.DOTALL), re.compile(begun, re.DOTALL)


def _each(text: bytes) -> list[bytes]:
    return [re.escape(text[at : at + 1]) for at in range(len(text))]


_SENTENCE = b"This port records lines of text: write text and a newline to it, without HTTP.\n"
_HTTP = NoText(
    "speaks HTTP",
    "have it write lines of text to the port, as `nc` does",
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_SENTENCE), _SENTENCE),
)
_RELP_SAYS = b"500 no RELP here: forward by omfwd"
_FORWARD = NoText(
    "speaks Fluentd's protocol", "have it send syslog or GELF over TCP (Docker: --log-driver syslog)"
)

_TLS = NoText("speaks TLS", "start with --tls", b"\x15\x03\x01\0\2\2\x28")
_SCANNED = "a scanner, as a rule: --allow or --token keeps those out"

_METHODS = b"GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH".split()
# What a fuzzer asks for may be of any bytes.
_REQUEST = rb"(?:%b) [^\r\n]+ HTTP/1\.[01]\r\n" % b"|".join(_METHODS)
_FIELDS = rb"(?:[^\r\n:]+:[^\r\n]*\r\n)*"
# A time is an integer with the record, a map, behind it, or an extension of type 0. (Docker's driver has a
# signed one, others an unsigned one.) Several entries are an array of such, or its bytes, maybe gzipped.
_TIME = rb"(?:\xd7\0|[\xce\xd2].{4}[\x80-\x8f\xde\xdf])"
_ENTRIES = (
    rb"(?:(?:[\x90-\x9f]|\xdc..|\xdd.{4})\x92\x92?%b|(?:\xc4.|\xc5..|\xc6.{4})(?:\x92\x92?%b|\x1f\x8b))"
)

_KINDS = [
    # RFC 8446, 5.1: handshake, version, length; then a ClientHello. The answer: a fatal handshake_failure.
    _Kind(
        (b"\x16\x03",),
        *_steps(rb"\x16", rb"\x03", rb"[\0-\x04]", rb".", rb".", rb"\x01"),
        _TLS,
    ),
    # RFC 5246, E.2, as old probers say it: a length with its highest bit set, a ClientHello, a version.
    _Kind(
        tuple(bytes([high]) for high in range(0x80, 0x90)),
        *_steps(rb"[\x80-\x8f]", rb".", rb"\x01", rb"[\0\x03]", rb"[\0-\x04]", rb"\0", rb".", rb"\0"),
        _TLS,
    ),
    _Kind(
        tuple(method + b" " for method in _METHODS),
        re.compile(_REQUEST + _FIELDS + rb"[Hh][Oo][Ss][Tt]:"),
        re.compile(rb"[A-Z]{1,7}(?: [^\n]*)?|" + _REQUEST + _FIELDS + rb"[^\n]*"),
        _HTTP,
    ),
    # RFC 9113, 3.4. To who speaks that alone an answer of HTTP/1 tells most.
    _Kind((b"PRI ",), *_steps(*_each(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")), _HTTP),
    # SocketHandler of Python's logging: a length, and a dict.
    _Kind(
        (b"\0",),
        *_steps(rb"\0", rb"[\0-\x0f]", rb".", rb".", *_each(b"}q\0(")),
        NoText("sends pickles (Python's SocketHandler)", "have it send lines or syslog: see docs/senders.md"),
    ),
    _Kind(
        (b"\xac\xed",),
        *_steps(*_each(b"\xac\xed\0\5")),
        NoText("sends Java objects", "give its appender a pattern, so that it sends lines"),
    ),
    _Kind(
        (b"1 open ",),
        *_steps(*_each(b"1 open "), rb"\d{1,9}", *_each(b" relp_version=")),
        NoText(
            "speaks RELP",
            "forward by omfwd over TCP",
            b"1 rsp %d %b\n0 serverclose 0\n" % (len(_RELP_SAYS), _RELP_SAYS),
        ),
    ),
    _Kind(
        (b"1C\0", b"1J\0", b"1W\0", b"2C\0", b"2J\0", b"2W\0"),
        *_steps(rb"[12]", rb"[WCJ]", rb"\0", rb"\0"),
        NoText(
            "speaks the Beats protocol", "have it send lines, as Filebeat does to a file or Logstash to TCP"
        ),
    ),
    # What scanners say first. RFC 5531, 9 and 11: a record, an id, a call of version 2. RFC 1035, 4.1.1 and
    # 4.2.2: a length, an id, a query for a name, or for a status. SMB and RDP, by their marks.
    _Kind(
        (b"\x80\0",),
        *_steps(*_each(b"\x80\0"), *[rb"."] * 6, *_each(b"\0\0\0\0\0\0\0\2")),
        NoText("speaks Sun's RPC", _SCANNED),
    ),
    _Kind(
        (b"\0",),
        *_steps(rb"\0", rb"[\x11-\xff]", rb".", rb".", *_each(b"\1\0\0\1\0\0\0\0\0\0")),
        NoText("speaks DNS", _SCANNED),
    ),
    _Kind(
        (b"\0\x0c",),
        *_steps(*_each(b"\0\x0c"), rb".", rb".", *_each(b"\x10\0\0\0\0\0\0\0\0\0")),
        NoText("speaks DNS", _SCANNED),
    ),
    _Kind(
        (b"\0\0",),
        *_steps(rb"\0", rb"\0", rb".", rb".", rb"[\xfe\xff]", *_each(b"SMB")),
        NoText("speaks SMB", _SCANNED),
    ),
    _Kind(
        (b"JRMI\0",),
        *_steps(*_each(b"JRMI\0"), rb"[\1\2]", rb"[KLM]"),
        NoText("speaks Java's RMI", _SCANNED),
    ),
    _Kind(
        (b"\3\0\0",),
        *_steps(*_each(b"\3\0\0"), rb".", rb".", rb"\xe0", *_each(b"\0\0\0\0")),
        NoText("speaks RDP", _SCANNED),
    ),
    # An array of 2 to 4, its first a string (of which the length is looked at), then a time or entries.
    _Kind(
        (b"\x92", b"\x93", b"\x94"),
        re.compile(
            rb"[\x92-\x94]([\xa1-\xbf]|\xd9[\x20-\xff])([ -~]+)(?:%b|%b)"
            % (_TIME, _ENTRIES % (_TIME, _TIME)),
            re.DOTALL,
        ),
        re.compile(
            rb"[\x92-\x94](?:(?:[\xa1-\xbf]|\xd9[\x20-\xff]?)[ -~]{0,255}"
            rb"(?:[\x90-\x9f\xc4-\xc6\xce\xd2\xd7\xdc\xdd].{0,13})?)?",
            re.DOTALL,
        ),
        _FORWARD,
    ),
]
_BY_FIRST: Dict[int, List[_Kind]] = {}
for _kind in _KINDS:
    for _first in {look[0] for look in _kind.looks}:
        _BY_FIRST.setdefault(_first, []).append(_kind)
#: By its first byte, how one looks: what begins otherwise is text, of 16 bytes at least.
LOOKS = {
    first: tuple(look for kind in kinds for look in kind.looks if look[0] == first)
    for first, kinds in _BY_FIRST.items()
}


def no_text(text: Buffer, begin: int = 0, end: int = AT_MOST) -> NoText | None:
    """Return what it is that begins so, if that is no text."""
    for kind in _BY_FIRST.get(text[begin], ()):
        found = kind.whole.match(text, begin, min(end, begin + AT_MOST))
        if found and (kind.is_one is not _FORWARD or _counted(found[1]) == len(found[2])):
            return kind.is_one
    return None


def may_become(text: Buffer, begin: int, end: int) -> bool:
    """Tell whether more of what begins so could show that it is no text."""
    kinds = _BY_FIRST.get(text[begin], ()) if end - begin < AT_MOST else ()
    return any(kind.begun.fullmatch(text, begin, end) for kind in kinds)


def _counted(header: bytes) -> int:
    """Return how long the string of a msgpack header is."""
    return header[0] & 0x1F if len(header) == 1 else header[1]
