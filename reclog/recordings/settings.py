"""What a call asks for: a flag beats the config file, which beats the built-in value."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from reclog.engine.sources.choice import LISTENERS as KINDS
from reclog.engine.sources.source import Asked, lacks

from ..errors import UsageError
from .checks import (
    address,
    byte_size,
    called,
    count,
    file_path,
    keep,
    port_number,
    rotate,
    seconds,
    tls,
    yes_or_no,
)
from .defaults import DEFAULTS, option_name
from .senders import dialled, framing, listener, names, networks, token

#: All addresses of this machine, and of a tremplin: there both families, as far as it has them.
BIND_HERE, BIND_THERE = "0.0.0.0", "::"
#: What datagrams can't have. Where it is asked for they are off, and --udp beside it is wrong.
NO_UDP_WITH = ("--raw", "--tls", "--token")
#: The local end of the tunnel, where that port is free.
PORT_LOCAL = 55514


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileSettings:
    """What is asked of any recorded file, checked."""

    #: Absolute.
    file: str
    #: Empty: by where it comes from.
    called: str
    foreground: bool
    #: When the file is cut, what is kept of its pieces; words.
    rotate: Sequence[str]
    keep: Sequence[str]
    compress: bool
    #: Which of these were asked for, and are not just the built-in values.
    said: Sequence[str] = ()

    @property
    def asked(self) -> dict[str, Any]:
        """What was asked for, by its name."""
        return {name: getattr(self, name, None) for name in self.said}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(FileSettings):
    """What is asked of any recording that senders come to, checked."""

    #: Of this machine, or of the tremplin.
    bind: str
    listener: str
    framing: str
    stamp: bool
    allow: Sequence[str]
    #: Whether one is wanted, or the caller's own; once `settled`, what a daemon is to know of it.
    token: bool | str
    #: Seconds.
    partial_after: float
    udp: bool
    #: 0: what the system's limits allow.
    max_senders: int
    max_per_address: int
    tls: bool
    #: Files of this machine, absolute; empty: a certificate that is made.
    tls_cert: str
    tls_key: str
    #: Empty: nobody is asked for a certificate.
    tls_clients: str
    names: Sequence[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalSettings(Settings):
    """A recording on this machine, checked."""

    #: 0: none is listened on.
    port: int
    raw: bool
    #: Addresses of devices, and where the programs among them are started.
    dial: Sequence[str]
    dial_in: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class TremplinSettings(Settings):
    """A recording through a tremplin, checked."""

    port_remote_in: int
    #: 0: a UNIX socket, where OpenSSH can forward to one.
    port_remote_out: int
    port_local: int
    #: Whether it has to be that port, or may be the next free one.
    port_local_given: bool
    #: Bytes.
    spool_max: int
    take_over: bool
    boot: bool


def resolve_local(flags: Mapping[str, Any], config: Mapping[str, Any]) -> LocalSettings:
    """Return the settings of `inv local`. Raises UsageError."""
    words = merged(flags, config)
    dial = dialled(words["dial"])
    settings = LocalSettings(
        **_of_any(words, said(flags, config), BIND_HERE, udp=True),
        # Beside devices a port is listened on only if the command line has one.
        port=port_number(words["port"]) if not dial or flags.get("port") is not None else 0,
        raw=yes_or_no("--raw", words["raw"]),
        dial=dial,
        dial_in=os.getcwd() if dial else "/",
    )
    check_together(settings)
    return settings


def resolve_tremplin(
    flags: Mapping[str, Any], config: Mapping[str, Any], host: str, hosts: int = 1
) -> TremplinSettings:
    """Return the settings of `fab tremplin` for `host`, one of `hosts`. Raises UsageError."""
    words = merged(flags, config)
    for name, option, example in (("file", "--file", "logs/{host}.log"), ("called", "--as", "{host}")):
        word = str(words[name])
        if hosts > 1 and word and "{host}" not in word:
            raise UsageError(f"{option} needs {{host}} in it for several hosts, as {example}: one for each.")
        words[name] = word.replace("{host}", re.sub(r"[^A-Za-z0-9.-]", "_", host))
    given, out = words["port_local"] is not None, words["port_remote_out"]
    # socat checks networks where it listens to IPv4 alone.
    everywhere = BIND_HERE if words["listener"] == "socat" and networks(words["allow"]) else BIND_THERE
    settings = TremplinSettings(
        **_of_any(words, said(flags, config), everywhere, udp=False),
        port_remote_in=port_number(words["port_remote_in"], "--port-remote-in"),
        port_remote_out=port_number(out, "--port-remote-out") if out is not None else 0,
        port_local=port_number(words["port_local"], "--port-local") if given else PORT_LOCAL,
        port_local_given=given,
        spool_max=byte_size("--spool-max", words["spool_max"]),
        take_over=yes_or_no("--take-over", words["take_over"]),
        boot=yes_or_no("--boot", words["boot"]),
    )
    if settings.port_remote_in == settings.port_remote_out:
        raise UsageError(
            "--port-remote-in and --port-remote-out are the same: both are the tremplin's, give two."
        )
    if settings.listener == "socat":
        reason = _lacks(settings)
        if reason:
            raise UsageError(f"{reason}: use --listener builtin.")
    return settings


def of_a_file(words: Mapping[str, Any], said: Sequence[str]) -> dict[str, Any]:
    """Return the fields of `FileSettings`. Raises UsageError."""
    return {
        "file": file_path(words["file"]),
        "called": called(words["called"]),
        "foreground": yes_or_no("--foreground", words["foreground"]),
        "rotate": rotate(words["rotate"]),
        "keep": keep(words["keep"]),
        "compress": yes_or_no("--compress", words["compress"]),
        "said": said,
    }


def _of_any(words: Mapping[str, Any], said: Sequence[str], everywhere: str, udp: bool) -> dict[str, Any]:
    """Return the fields of `Settings`.

    If nothing else is asked for, `everywhere` is where it listens, and `udp` whether it records datagrams.
    """
    return {
        **of_a_file(words, said),
        "bind": address(words["bind"] if words["bind"] is not None else everywhere),
        "listener": listener(words["listener"]),
        "framing": framing(words["framing"]),
        "stamp": yes_or_no("--stamp", words["stamp"]),
        "allow": networks(words["allow"]),
        "token": token(words["token"]),
        "partial_after": seconds("--partial-after", words["partial_after"]),
        "udp": _udp(words, udp),
        "max_senders": count("--max-senders", words["max_senders"]),
        "max_per_address": count("--max-per-address", words["max_per_address"]),
        **tls(words),
        "names": names(words["names"]),
    }


def _udp(words: Mapping[str, Any], otherwise: bool) -> bool:
    # One's own token stands in the config, where else there is a yes or no.
    asked = {**words, "token": bool(token(words["token"]))}
    against = next((option for option in NO_UDP_WITH if yes_or_no(option, asked[option[2:]])), "")
    if words["udp"] is None:
        return otherwise and against in ("", "--token")  # they come back once no token is asked for
    udp = yes_or_no("--udp", words["udp"])
    if udp and against:
        raise UsageError(f"--udp and {against} don't go together: leave one of them out.")
    return udp


def merged(flags: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value for every setting: the flag's if one was given, the config's, the built-in one."""
    configured = {name: config.get(option_name(name)) for name in DEFAULTS}
    configured = {name: value for name, value in configured.items() if value is not None}
    return {**DEFAULTS, **configured, **_given(flags)}


def said(flags: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
    """Return the settings that a flag or the config has a value for."""
    given = _given(flags)
    return [name for name in DEFAULTS if name in given or config.get(option_name(name)) is not None]


def _given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the flags of a call say: --no-stamp that `stamp` is False, and one left out nothing."""
    given: dict[str, Any] = {}
    for name in DEFAULTS:
        word = option_name(name)
        # Of what is a word of Python's the flag ends in an underscore.
        flag, undone = flags.get(word, flags.get(f"{word}_")), bool(flags.get(f"no_{word}"))
        if flag is None or flag is False or flag == []:
            given.update({name: [] if DEFAULTS[name] == [] else False} if undone else {})
        elif undone:
            option = word.replace("_", "-")
            raise UsageError(f"--{option} and --no-{option} are both there: give one.")
        else:
            given[name] = flag
    return given


def _lacks(settings: Settings) -> str:
    """Return why socat can't do what is asked; empty if it can."""
    return lacks(KINDS["socat"], Asked.of(settings))


def check_together(settings: LocalSettings) -> None:
    """See that the settings go together. Raises UsageError."""
    if settings.raw and settings.listener == "builtin":
        raise UsageError("--raw is socat straight into the file: leave --listener builtin out.")
    if settings.raw and settings.dial:
        raise UsageError("--raw is what socat hears on a port: leave --from out, or leave --raw out.")
    if settings.raw and settings.stamp:
        raise UsageError("--raw writes bytes as they come: leave --stamp out, or leave --raw out.")
    if settings.raw and (settings.rotate or settings.keep or settings.compress):
        raise UsageError("--raw is one file: leave --rotate, --keep and --compress out, or leave --raw out.")
    if settings.raw and "framing" in settings.said:
        raise UsageError("--raw writes bytes as they come: leave --framing out, or leave --raw out.")
    if settings.raw or settings.listener == "socat":
        reason = _lacks(settings)
        if reason:
            remedy = "leave --raw out" if settings.raw else "use --listener builtin"
            raise UsageError(f"{reason}: {remedy}.")
