"""What of one TCP connection is accepted, by the sequence numbers of its bytes (RFC 9293).

The kernel tells those of no socket; but the first segment of a connection, the SYN, can be kept.
"""

from __future__ import annotations

import socket
import struct

from .kernel import attach_filter

_TCP_SAVE_SYN, _TCP_SAVED_SYN = 27, 28  # linux/tcp.h


def save_syn(sock: socket.socket) -> None:
    """Have the connections that listening `sock` accepts tell their `first_sequence` (tcp(7), Linux 4.3)."""
    try:
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_SAVE_SYN, 1)
    except OSError:
        pass  # they tell nothing


def first_sequence(sock: socket.socket) -> int | None:
    """Return the sequence number of the first byte that comes to `sock`; None where, or once, it was told."""
    try:
        syn = sock.getsockopt(socket.IPPROTO_TCP, _TCP_SAVED_SYN, 256)
        tcp = (syn[0] & 15) * 4 if syn[0] >> 4 == 4 else 40  # behind the header of IPv4, or of IPv6
        return int(struct.unpack_from("!I", syn, tcp + 4)[0]) + 1
    except (OSError, IndexError, struct.error):
        return None  # another system; or it came by a SYN cookie, in a flood


def acknowledge(sock: socket.socket) -> None:
    """Acknowledge now what has come, where the system would wait for something to send along with that."""
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    except (OSError, AttributeError):
        pass  # another system, or no TCP


def accept_until(sock: socket.socket, sequence: int) -> bool:
    """Accept for `sock` what comes before that sequence number and drop the rest, as `drop_incoming` does.

    What comes with the peer's end is accepted whole. Returns False where that can't be done.
    """
    # A filter sees a segment from its TCP header on, and returns how much of it is kept and acknowledged.
    # Offsets: sequence number 4, the header's length 12 (its high four bits, in words), flags 13.
    byte, word, fin, drop, keep = 0x30, 0x20, 1, (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF)
    steps = [
        (byte, 0, 0, 13),
        (0x45, 10, 0, fin),  # jump to `keep` if that bit is set
        (word, 0, 0, 4),
        (0x84, 0, 0, 0),  # negate,
        (0x04, 0, 0, sequence & 0xFFFFFFFF),  # add: how far it begins before the end,
        (0x07, 0, 0, 0),  # kept in X
        (0x35, 6, 0, 0x80000000),  # jump to `drop` if that is behind it
        (byte, 0, 0, 12),
        (0x54, 0, 0, 0xF0),
        (0x74, 0, 0, 2),
        (0x0C, 0, 0, 0),  # add X
        (0x16, 0, 0, 0),  # return that
        keep,
        drop,
    ]
    return attach_filter(sock, steps)
