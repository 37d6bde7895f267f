"""Whole lines out of fragments: one sender's bytes in, complete lines out.

Rules kept here:

- Bytes pass through unchanged; the only byte with a meaning is the newline (0x0a).
- What `feed` returned and what is still held, put together, is exactly what was fed.
- What `feed` returns ends in a newline, or is empty.
"""

from __future__ import annotations


class LineAssembler:
    """Hold one sender's unfinished text until its newline comes."""

    __slots__ = ("_text",)

    def __init__(self) -> None:
        self._text: bytes | bytearray = b""

    @property
    def pending(self) -> int:
        """Bytes held because no newline has followed them yet."""
        return len(self._text)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the sender; return all that ends in a newline by now."""
        cut = data.rfind(b"\n") + 1
        held = self._text
        if not cut:
            # A bytearray grows in place: a line sent byte by byte costs no quadratic copying.
            if held:
                held += data
                self._text = held
            else:
                self._text = bytearray(data)
            return b""
        if cut == len(data):
            whole = data
            self._text = b""
        else:
            whole = data[:cut]
            self._text = bytearray(data[cut:])
        return b"".join((held, whole)) if held else whole

    def take(self) -> bytes:
        """Give up the unfinished text, which then counts as delivered."""
        text = bytes(self._text)
        self._text = b""
        return text
