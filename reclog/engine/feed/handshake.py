"""The feed's handshake: both sides prove that they know the secret, without any I/O.

One line each, the relay first:

    relay      reclog-feed <version> <nonce>
    collector  <nonce> <HMAC-SHA256(secret, "collector" nonce-of-relay nonce-of-collector)>
    relay      <HMAC-SHA256(secret, "relay" nonce-of-collector nonce-of-relay)>
    collector  {"collector": id, "spool": id or null, "offset": n, "take_over": bool, "runs": true}
    relay      {"spool": id, "offset": n, "end": n, "runs": true, "now_ms": n} or {"refused": why}

`runs` asks for frames of who said what when (RUNS), and for what the relay's clock shows. It may be left out,
on either side: an older one knows neither, and is served as ever.

The secret itself is never sent, each answer holds for one pair of nonces only, and the two sides' answers
differ in their first word, so neither can be used for the other (RFC 2104).

Whoever has not proved it gets no more than that, a line of `LINE_MAX` bytes, and `HANDSHAKE_WITHIN` seconds.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import Any, Callable

from ..errors import EngineError
from ..records.jsonfile import parse_json
from .protocol import FeedError, checked_name, checked_offset

PROTOCOL = 2
#: Bytes of a line at most.
LINE_MAX = 4096
#: Seconds for all of it.
HANDSHAKE_WITHIN = 5.0
#: Characters of the other side's that are shown of a word.
WORD_MAX = 200


class Refused(EngineError):
    """The relay knows us and does not let us have its spool."""

    cause = "refused"
    is_final = True


class OtherVersion(FeedError):
    """The relay is reclog's, and of another version."""


class Handshake:
    """One side of it: bytes in, bytes out."""

    #: What the other side should be.
    other = ""

    def __init__(self, secret: str, now: float) -> None:
        """`now` is when it begins, in seconds of whatever clock tells when it is too late."""
        self.late_at = now + HANDSHAKE_WITHIN
        #: The other side has proved to know the secret.
        self.proved = False
        #: What the relay answered, once all is said; None before.
        self.answer: dict[str, Any] | None = None
        #: Bytes that came behind the last line.
        self.rest = b""
        self._secret = secret
        self._nonce = nonce()

    def take(self, data: bytes) -> bytes:
        """Take what the other side said; return what to say to that. Raises FeedError, Refused."""
        self.rest += data
        said = b""
        while self.answer is None:
            line, ended, rest = self.rest.partition(b"\n")
            if len(line) > LINE_MAX:
                raise FeedError(f"the other side is no {self.other} of reclog")
            if not ended:
                break
            self.rest = rest
            try:
                said += self._reply(line)
            except ValueError as error:
                raise FeedError(f"the {self.other}'s words make no sense") from error
        return said

    def _reply(self, line: bytes) -> bytes:
        raise NotImplementedError


class AsRelay(Handshake):
    """The relay's side: it speaks first."""

    other = "collector"

    def __init__(self, secret: str, now: float, welcome: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """`welcome` returns the answer to one that has proved to know the secret."""
        super().__init__(secret, now)
        self._welcome = welcome
        self.greeting = greeting(self._nonce)

    def _reply(self, line: bytes) -> bytes:
        if not self.proved:
            theirs = check_answer(self._secret, self._nonce, line)
            self.proved = True
            return proof(self._secret, "relay", theirs, self._nonce).encode("ascii") + b"\n"
        self.answer = self._welcome(parse_json(line))
        return json.dumps(self.answer).encode("utf-8") + b"\n"


class AsCollector(Handshake):
    """The collector's side; an answer that refuses it is raised."""

    other = "relay"

    def __init__(self, secret: str, now: float, hello: Callable[[], dict[str, Any]]) -> None:
        """`hello` returns who we are and what we want, once the relay has proved itself."""
        super().__init__(secret, now)
        self._hello = hello
        self._theirs = ""

    def _reply(self, line: bytes) -> bytes:
        if not self._theirs:
            self._theirs = read_greeting(line)
            return answer(self._secret, self._theirs, self._nonce)
        if not self.proved:
            check_relay(self._secret, self._nonce, self._theirs, line)
            self.proved = True
            return json.dumps(self._hello()).encode("utf-8") + b"\n"
        said = parse_json(line)
        if "refused" in said:
            owner, since = (str(said.get(name))[:WORD_MAX] for name in ("owner", "since"))
            raise Refused(
                f"The relay belongs to {owner} since {since}: add --take-over to have it from now on."
            )
        checked_offset(said.get("offset"))
        checked_offset(said.get("end"))
        checked_name(said.get("spool"))
        self.answer = said
        return b""


def nonce() -> str:
    """Return what makes a handshake unlike every other."""
    return secrets.token_hex(16)


def proof(secret: str, role: str, theirs: str, ours: str) -> str:
    """Return what only a `role` (`collector`, `relay`) that knows the secret can say to these nonces."""
    message = f"{role} {theirs} {ours}".encode("ascii")
    return hmac.new(bytes.fromhex(secret), message, hashlib.sha256).hexdigest()


def greeting(relay_nonce: str) -> bytes:
    """Return the relay's first line."""
    return f"reclog-feed {PROTOCOL} {relay_nonce}\n".encode("ascii")


def read_greeting(line: bytes) -> str:
    """Return the nonce of the relay's first line. Raises FeedError."""
    words = line.split()
    if len(words) != 3 or words[0] != b"reclog-feed" or not _is_hex(words[2]):
        raise FeedError("who answers is no relay of reclog")
    if words[1] != str(PROTOCOL).encode("ascii"):
        theirs = words[1][:WORD_MAX].decode("ascii", "replace")
        raise OtherVersion(f"the relay is another version of reclog's: its feed is {theirs}, ours {PROTOCOL}")
    return words[2].decode("ascii")


def answer(secret: str, relay_nonce: str, own_nonce: str) -> bytes:
    """Return the collector's first line: its nonce and its proof."""
    return f"{own_nonce} {proof(secret, 'collector', relay_nonce, own_nonce)}\n".encode("ascii")


def check_answer(secret: str, relay_nonce: str, line: bytes) -> str:
    """Return the collector's nonce if its proof holds. Raises FeedError."""
    words = line.split()
    if len(words) != 2 or not _is_hex(words[0]):
        raise FeedError("who connects is no collector of reclog")
    theirs = words[0].decode("ascii")
    if not hmac.compare_digest(words[1], proof(secret, "collector", relay_nonce, theirs).encode("ascii")):
        raise FeedError("who connects does not know the secret")
    return theirs


def check_relay(secret: str, own_nonce: str, relay_nonce: str, line: bytes) -> None:
    """Check the relay's proof. Raises FeedError."""
    expected = proof(secret, "relay", own_nonce, relay_nonce).encode("ascii")
    if not hmac.compare_digest(line.strip(), expected):
        raise FeedError("who answers does not know the secret")


def _is_hex(word: bytes) -> bool:
    return len(word) == 32 and all(character in b"0123456789abcdef" for character in word)
