"""Who may do what on a server, told by signed words: an operator, an account and a user, without nsc."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import nkeys

#: What an account, and a user, may have of everything.
_ACCOUNT = {
    **dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1),
    **dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1),
    "wildcards": True,
}
_USER = dict.fromkeys(("subs", "data", "payload"), -1)


def told(folder: Path, limits: dict[str, Any] | None = None, **user: Any) -> tuple[str, Path]:
    """Return a server's configuration, and the credentials of a user whom it lets in.

    `limits` of the account, and what is said of the `user`, as a JWT says it.
    """
    operator, system, account, who = (
        _key(number, prefix)
        for number, prefix in enumerate(
            (
                nkeys.PREFIX_BYTE_OPERATOR,
                nkeys.PREFIX_BYTE_ACCOUNT,
                nkeys.PREFIX_BYTE_ACCOUNT,
                nkeys.PREFIX_BYTE_USER,
            )
        )
    )
    accounts = {
        _name(system): _signed(operator, system, "account", limits=_ACCOUNT | _no_jetstream()),
        _name(account): _signed(operator, account, "account", limits=_ACCOUNT | (limits or {})),
    }
    config = f"""operator: {_signed(operator, operator, "operator")}
system_account: {_name(system)}
resolver: MEMORY
resolver_preload: {{ {", ".join(f"{name}: {jwt}" for name, jwt in accounts.items())} }}"""
    creds = folder / "user.creds"
    creds.touch(0o600)
    creds.write_text(
        f"-----BEGIN NATS USER JWT-----\n{_signed(account, who, 'user', **_USER, **user)}\n"
        "------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{who.seed.decode()}\n------END USER NKEY SEED------\n"
    )
    return config, creds


def _no_jetstream() -> dict[str, int]:
    return dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), 0)


def _key(number: int, prefix: int) -> Any:
    return nkeys.from_seed(bytearray(nkeys.encode_seed(bytes([number] * 32), prefix)))


def _name(key: Any) -> str:
    return str(key.public_key.decode())


def _signed(by: Any, of: Any, kind: str, **nats: Any) -> str:
    claims = {"iat": int(time.time()), "iss": _name(by), "sub": _name(of), "name": kind, "jti": kind}
    claims["nats"] = {"type": kind, "version": 2, **nats}
    said = ".".join(
        _packed(json.dumps(one).encode()) for one in ({"typ": "JWT", "alg": "ed25519-nkey"}, claims)
    )
    return f"{said}.{_packed(by.sign(said.encode()))}"


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
