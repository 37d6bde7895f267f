"""The settings by their names, with their built-in values. Imports nothing: every command has it."""

from __future__ import annotations

from typing import Any

#: The built-in values; `reclog:` in invoke.yaml or fabric.yaml replaces any of them.
DEFAULTS: dict[str, Any] = {
    "port": 55514,
    "file": "file.log",
    "called": "",
    "bind": None,
    "listener": "auto",
    "framing": "auto",
    "stamp": False,
    "tls": False,
    "tls_cert": "",
    "tls_key": "",
    "tls_clients": "",
    "allow": [],
    "token": "",
    "dial": [],
    "names": [],
    "partial_after": 2.0,
    "rotate": [],
    "keep": [],
    "compress": False,
    "raw": False,
    "foreground": False,
    # On where one listens oneself, off on a host of the Internet.
    "udp": None,
    "max_senders": 0,
    "max_per_address": 0,
    "timeout": 5.0,
    "lines": 10,
    "port_remote_in": 55514,
    "port_remote_out": None,
    "port_local": None,
    "spool_max": "1GiB",
    "take_over": False,
    "boot": False,  # the relay's with its host, left as it is where nothing is said
}
#: Those that are not called as their options are, which are words of Python's, or of a recording.
OPTIONS = {"called": "as", "dial": "from", "servers": "from", "names": "name", "files": "file"}


def option_name(name: str) -> str:
    """Return what a setting is called in an option and in the config, with underscores."""
    return OPTIONS.get(name, name)
