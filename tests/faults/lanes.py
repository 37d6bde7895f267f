"""The systems that a campaign can run, and the faults of each."""

from __future__ import annotations

from collections.abc import Callable

from bench import Home
from campaign import Lane

#: What `inv dev.faults` runs if it is not told otherwise.
OURS = (
    "lan-socat",
    "lan-builtin",
    "lan-tls",
    "lan-dialling",
    "tremplin",
    "tremplin-tls",
    "stream",
    "stream-tremplin",
)
#: What people use instead.
PLAIN = ("socat", "socat-tuned", "socat-ssh")
ALL = (*OURS, *PLAIN)
#: They stand on network namespaces.
NEED_ROOT = ("tremplin", "tremplin-tls", "stream", "stream-tremplin", "socat-ssh")


def lane(name: str) -> Lane:
    """Return a lane by its name. Raises KeyError."""
    return _MAKERS[name]()


def _lan(listener: str) -> Lane:
    from lan import Lan
    from lan_faults import faults_for

    return Lane(f"lan-{listener}", lambda home: Lan(home, listener), faults_for(listener))


def _lan_tls() -> Lane:
    from lan_faults import of_tls
    from lan_tls import LanTls

    return Lane("lan-tls", LanTls, of_tls())


def _dialling() -> Lane:
    from dialling import FAULTS, Dialling

    return Lane("lan-dialling", Dialling, FAULTS)


def _tremplin(name: str, carried: str) -> Lane:
    from through import Through
    from through_faults import FAULTS, of_tls

    faults = of_tls() if carried == "--tls" else FAULTS
    return Lane(name, lambda home: Through(home, home.path / "hosts", carried), faults)


def _stream() -> Lane:
    from stream_faults import ON_A_LAN
    from streamed import on_a_lan

    return Lane("stream", on_a_lan, ON_A_LAN)


def _stream_through() -> Lane:
    from stream_faults import THROUGH_A_TREMPLIN
    from streamed import through_a_tremplin

    return Lane("stream-tremplin", through_a_tremplin, THROUGH_A_TREMPLIN)


def _plain(tuned: bool) -> Lane:
    import plain_faults
    from plain import PlainLan

    name = "socat-tuned" if tuned else "socat"
    return Lane(name, lambda home: PlainLan(home, tuned), plain_faults.LAN, promises=False)


def _plain_through() -> Lane:
    import plain_faults
    from plain_through import PlainThrough

    def system(home: Home) -> PlainThrough:
        return PlainThrough(home, home.path / "hosts")

    return Lane("socat-ssh", system, plain_faults.THROUGH, promises=False)


_MAKERS: dict[str, Callable[[], Lane]] = {
    "lan-socat": lambda: _lan("socat"),
    "lan-builtin": lambda: _lan("builtin"),
    "lan-tls": _lan_tls,
    "lan-dialling": _dialling,
    "tremplin": lambda: _tremplin("tremplin", "--udp"),
    "tremplin-tls": lambda: _tremplin("tremplin-tls", "--tls"),
    "stream": _stream,
    "stream-tremplin": _stream_through,
    "socat": lambda: _plain(tuned=False),
    "socat-tuned": lambda: _plain(tuned=True),
    "socat-ssh": _plain_through,
}
