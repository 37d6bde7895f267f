"""What is no text is told by how it begins; what only looks alike is text."""

from __future__ import annotations

import pickle
import struct

import pytest

from reclog.engine.intake.binary import AT_MOST, may_become, no_text

REQUEST = b"GET /metrics HTTP/1.1\r\nAccept: */*\r\nhost:"
RECORD = pickle.dumps({"name": "root", "args": None}, 1)
TIME, EXTENDED = b"\xd2\x67\x45\x23\x0a", b"\xd7\x00" + bytes(range(8))
BEGINNINGS = {
    "speaks TLS": [
        b"\x16\x03\x01\x02\x00\x01",
        b"\x16\x03\x03\x0a\x0a\x01",
        b"\x80\x9e\x01\x03\x01\x00u\x00",  # nmap's SSLv23
        b"\x80\x2e\x01\x00\x02\x00\x15\x00",  # SSL 2.0
    ],
    "speaks HTTP": [
        REQUEST,
        b"POST /v1 HTTP/1.0\r\nHost:",
        b"OPTIONS * HTTP/1.1\r\nHost:",
        b"GET /\xff\x00 \x1b HTTP/1.1\r\nX\x80\x01: \x02\r\nHost:",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    "sends pickles (Python's SocketHandler)": [(struct.pack(">L", len(RECORD)) + RECORD)[:8]],
    "sends Java objects": [b"\xac\xed\x00\x05"],
    "speaks RELP": [b"1 open 85 relp_version="],
    "speaks the Beats protocol": [b"2W\x00\x00", b"1J\x00\x00", b"2C\x00\x00"],
    "speaks Sun's RPC": [b"\x80\x00\x00(r\xfe\x1d\x13\x00\x00\x00\x00\x00\x00\x00\x02"],
    "speaks DNS": [
        b"\x00\x1e\x00\x06\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00",
        b"\x00\x0c\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    ],
    "speaks Java's RMI": [b"JRMI\x00\x02K"],
    "speaks SMB": [b"\x00\x00\x00\xa4\xffSMB"],
    "speaks RDP": [b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00"],
    "speaks Fluentd's protocol": [
        b"\x94\xacfd0fcd9d2b34" + TIME + b"\x84",  # Docker's driver
        b"\x93\xa3tag\xce\x0a\x0a\x0a\x0a\x82",
        b"\x92\xa3tag\xd7\x00",
        b"\x93\xd9\x20" + b"t" * 32 + b"\xd7\x00",
        b"\x92\xa3tag\x91\x92" + TIME + b"\x81",
        b"\x92\xa3tag\xdc\x00\x0a\x92\x92" + EXTENDED[:2],
        b"\x93\xa3tag\xc4\x20\x92" + TIME + b"\x81",
        b"\x93\xa3tag\xc6\x00\x00\x0a\x0a\x1f\x8b",
    ],
}
CASES = [(what, begin) for what, beginnings in BEGINNINGS.items() for begin in beginnings]


@pytest.mark.parametrize(("what", "begin"), CASES)
def test_each_is_known_by_its_beginning_and_not_before(what: str, begin: bytes) -> None:
    for size in range(1, len(begin)):
        assert no_text(begin[:size]) is None
        assert may_become(begin, 0, size)
    found = no_text(begin)
    assert found is not None
    assert found.what == what
    assert no_text(begin + b"more\n") == found


@pytest.mark.parametrize(
    "text",
    [
        b"GET the door\n",
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\nHost: x\n",
        b"GET / HTTP/1.1\r\n\r\nHost: x\r\n",
        b"GET / HTTP/1.1\r\nno field\r\nHost: x\r\n",
        b"get / HTTP/1.1\r\nHost: x\r\n",
        b"DEBUG: Host: x\r\n",
        b"GET /" + b"x" * AT_MOST + b" HTTP/1.1\r\nHost: x\r\n",
        b"\x16\x03\x05\x00\x00\x01",
        b"\x16\x03\x01\x00\x00\x02",
        b"\x00\x00\x00\x00}q\x00)",
        b"\x80 5,00\n",  # the euro sign of cp1252
        b"JRMI is down\n",
        b"\x00",
        b"1 open door\n",
        b"2Wo\x00",
        # Shift-JIS, and a tag that is shorter than it says.
        b"\x92\xa9 10:30:00\x8ac\xce\x00\x00\x00\x00\x81",
        b"\x92\xa4tag\xd7\x00" + bytes(13),
        b"\x92\xa3tag\xce" + bytes(14),
    ],
)
def test_what_only_looks_like_it_is_text(text: bytes) -> None:
    assert not any(no_text(text[:size]) for size in range(1, len(text) + 1))
    assert not may_become(text, 0, len(text)) or text == b"\x00"


def test_an_answer_is_one_of_its_protocol() -> None:
    def answer(begin: bytes) -> bytes:
        found = no_text(begin)
        assert found is not None
        return found.answer

    head, _, body = answer(REQUEST).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"Content-Length: %d" % len(body) in head
    tls = answer(BEGINNINGS["speaks TLS"][0])
    assert (tls[0], tls[3:5], len(tls)) == (21, b"\0\2", 7)  # an alert, and its length (RFC 8446, 5.1)
    number, verb, size, data = answer(BEGINNINGS["speaks RELP"][0]).split(b"\n")[0].split(b" ", 3)
    assert (number, verb, int(size)) == (b"1", b"rsp", len(data))
