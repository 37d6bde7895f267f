"""The token: what a sender has to say as its first line, known here by its hash alone.

Rules kept here:

- Its line is the token and a newline, or CRLF, and nothing else; at most `MOST` bytes.
- Not a byte is asked for that could be behind that line: what follows is the sender's text.
- How long a comparison takes tells nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import NamedTuple

#: Bytes of a token: fewer are soon guessed.
LEAST, MOST = 12, 128


class Token(NamedTuple):
    """What is known of a token where it is asked for."""

    #: Bytes. They tell how much may be read; what is random of a token stays so.
    length: int
    #: SHA-256.
    digest: bytes

    @classmethod
    def of(cls, text: str) -> Token:
        """Return what is to be known of a token."""
        line = text.encode("utf-8")
        return cls(len(line), hashlib.sha256(line).digest())

    @classmethod
    def parse(cls, word: str) -> Token:
        """Return what has that `word`. Raises ValueError."""
        found = re.fullmatch(r"(\d{1,3}):([0-9a-f]{64})", word, re.ASCII)
        if found is None or not LEAST <= int(found[1]) <= MOST:
            raise ValueError("a token's length and hash are to be NUMBER:SHA256")
        return cls(int(found[1]), bytes.fromhex(found[2]))

    @property
    def word(self) -> str:
        """What `parse` reads."""
        return f"{self.length}:{self.digest.hex()}"

    def wants(self, said: bytes) -> int:
        """Return how many bytes behind `said` belong to its line; 0 once it is known what that is."""
        if b"\n" in said:
            return 0
        if len(said) <= self.length:
            return self.length + 1 - len(said)
        return int(said[self.length :] == b"\r")

    def is_in(self, said: bytes) -> bool:
        """Tell whether `said`, of which nothing more is wanted, is its line."""
        line = said[:-2] if said.endswith(b"\r\n") else said[:-1]
        return said.endswith(b"\n") and hmac.compare_digest(hashlib.sha256(line).digest(), self.digest)
