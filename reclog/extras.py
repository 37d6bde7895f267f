"""What a command needs besides what every reclog has, and how a person gets it."""

from __future__ import annotations

import importlib.util
import json
import shlex
import sys
from pathlib import Path

from .errors import ReclogError

#: What the installers of programs leave in the environment that they made for one, and their commands.
_INSTALLERS = {
    "uv-receipt.toml": ["uv", "tool", "install"],
    "pipx_metadata.json": ["pipx", "install", "--force"],
}
ROOT = Path(__file__).resolve().parents[1]


def need(what: str, extra: str, *modules: str) -> None:
    """See that `what`, as a sentence calls it, has its modules. Raises ReclogError: the command for them."""
    if any(importlib.util.find_spec(module) is None for module in modules):
        raise ReclogError(f"{what} needs what is not installed here: `{install_command(extra)}` brings it.")


def install_command(extra: str) -> str:
    """Return the command that installs an extra of reclog's, for a person to copy."""
    what = f"reclog[{extra}]{_origin()}"
    for receipt, command in _INSTALLERS.items():
        if (Path(sys.prefix) / receipt).exists():
            return shlex.join([*command, what])
    if (ROOT / "bootstrap.sh").exists():
        return f"sh {shlex.quote(str(ROOT / 'bootstrap.sh'))} {extra}"
    return shlex.join([sys.executable, "-m", "pip", "install", what])


def _origin() -> str:
    """Return where the installed reclog came from, as a requirement says it; empty for the package index."""
    import importlib.metadata  # here: it takes a while

    try:
        told = json.loads(importlib.metadata.distribution("reclog").read_text("direct_url.json") or "{}")
        by = told.get("vcs_info", {}).get("vcs")
        return f" @ {by}+{told['url']}" if by else f" @ {told['url']}"
    except (importlib.metadata.PackageNotFoundError, LookupError, TypeError, ValueError):
        return ""
