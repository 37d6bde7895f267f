"""A connection that we made, and telnet's commands in it (RFC 854): refused, and no part of what is said.

Rules kept here:

- A stream is telnet's if it begins with an offer or a wish (`IAC WILL` or `DO`, and an option): then commands
  are told from text wherever they are. In any other each byte is text: 255, too.
- We offer nothing and want nothing: what the other end offers or asks for is refused, each time it does.
- Nothing is held for long: a subnegotiation over `LONGEST` is no telnet, and is text with all that follows.
- Nobody makes us wait: an answer that finds no room is not given.
"""

from __future__ import annotations

import socket
from typing import Callable

from .plain import Plain

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
#: What is answered to an offer, and to a wish; to a refusal nothing is (RFC 854: no answer to what is so).
_REFUSALS = {WILL: DONT, DO: WONT}
#: How a stream of telnet's may begin, and the options that follow then: below 32, no character of any text.
_BEGINS = (bytes([IAC]), bytes([IAC, WILL]), bytes([IAC, DO]))
OPTIONS = 32
#: Bytes of a command.
LONGEST = 4096
#: Bytes that are received at a time while commands are looked for.
PIECE = 65536


class Commands:
    """A stream's commands, told from its text: pure."""

    def __init__(self) -> None:
        #: None until the stream has begun; False: there are none, and it need not be asked any more.
        self.expected: bool | None = None
        # The beginning of a command, or of the stream; or a CR, which is alone where a NUL follows it.
        self._rest = b""

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the text in the next bytes of the stream, and what is to be answered."""
        data, self._rest = self._rest + data, b""
        if self.expected is None:
            if data in _BEGINS:
                self._rest = data
                return b"", b""
            self.expected = data[:2] in _BEGINS and data[2] < OPTIONS
        if not self.expected:
            return data, b""
        text, answer, at = bytearray(), bytearray(), 0
        while self.expected:
            found = data.find(IAC, at)
            if found < 0:
                found = len(data) - data.endswith(b"\r", at)
                self._rest = data[found:]
            text += data[at:found].replace(b"\r\0", b"\r")
            if self._rest or found == len(data):
                break
            command = _first(data[found : found + LONGEST])
            at = found + len(command)
            if command[1:] == bytes([IAC]):
                text.append(IAC)
            elif command and command[1] in _REFUSALS:
                answer += bytes([IAC, _REFUSALS[command[1]], command[2]])
            elif not command and len(data) - found < LONGEST:
                self._rest = data[found:]
                break
            elif not command:
                self.expected = False
                text += data[found:]
        return bytes(text), bytes(answer)

    def rest(self) -> bytes:
        """Return what of the text was held back, at the stream's end: no command is whole then."""
        rest, self._rest = self._rest, b""
        return rest if not self.expected or rest[:1] == b"\r" else b""


def _first(data: bytes) -> bytes:
    """Return the command that data begins with; empty if it is not whole."""
    kind = data[1] if len(data) > 1 else 0
    end = 3 if WILL <= kind < IAC else 2
    while kind == SB:
        end = data.find(IAC, end) + 2
        if end < 2 or end > len(data):
            return b""
        if data[end - 1] == SE:
            break
    return data[:end] if end <= len(data) else b""


class Telnet(Plain):
    """The bytes of a connection that we made, without telnet's commands if it has some."""

    def __init__(self, sock: socket.socket, closed: Callable[[str], None]) -> None:
        """`closed` is called with why, when it is closed."""
        super().__init__(sock)
        self._closed = closed
        self._commands = Commands()
        self._text = b""
        self._why = ""
        self._refused = False
        self.holds = False

    def receive_into(self, room: memoryview) -> int:
        """Receive what is there; 0 at the end. Raises OSError."""
        try:
            if self._commands.expected is False and not self._text:
                return super().receive_into(room)
            while not self._text:
                try:
                    data = self._sock.recv(min(len(room), PIECE), socket.MSG_DONTWAIT)
                except BlockingIOError:
                    self._text = self._commands.rest() if self._refused else b""
                    if not self._text:
                        raise
                    break
                if not data:
                    self._text = self._commands.rest()
                    break
                self._text, answer = self._commands.take(data)
                if answer:
                    self.answer(answer)
        except BlockingIOError:
            raise
        except OSError as error:
            self._why = error.strerror or str(error)
            raise
        count = min(len(room), len(self._text))
        room[:count] = self._text[:count]
        self._text = self._text[count:]
        self.holds = bool(self._text)
        return count

    def refuse(self) -> bool:
        """Accept not a byte more: then what was held back is text, for nothing follows it."""
        self._refused = True
        return super().refuse()

    def unread(self) -> int:
        """Return the bytes that the kernel, or we, hold."""
        return len(self._text) + super().unread()

    def close(self) -> None:
        """Close it."""
        super().close()
        self._closed(self._why or "it closed the connection")
