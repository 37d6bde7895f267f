"""The config file beside the tasks: Invoke reads it, and ends in a traceback where it can't."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from invoke.config import AmbiguousMergeError, Config

from reclog.errors import UsageError
from reclog.recordings.defaults import DEFAULTS, option_name

#: Invoke casts INVOKE_RECLOG_… to the type of the value that it finds here, with a traceback when it can't (a
#: number, a list), and a built-in value was not asked for: it finds none, and settings.merged supplies that.
KNOWN = {"reclog": dict.fromkeys(map(option_name, DEFAULTS))}

#: As Invoke looks for them; the first that is there counts.
_SUFFIXES = ("yaml", "yml", "json", "py")


class InvokesFile(Config):
    """What `inv` reads: `invoke.yaml` and the like."""


class FabricsFile(Config):
    """What `fab` reads: `fabric.yaml` and the like."""

    prefix = "fabric"


def check(folder: Path, of: type[Config], known: Mapping[str, Any]) -> None:
    """See that the config file in `folder` can be read, and laid over the settings `known`.

    Raises UsageError.
    """
    config = of(lazy=True)
    config.load_collection(dict(known), merge=False)
    config.set_project_location(str(folder))
    try:
        config.load_project()
    except AmbiguousMergeError as error:
        raise _unusable(folder, of, "a value stands where settings belong, or the other way round") from error
    except Exception as error:  # its parser's, a config.py's own, or what comes of a list or a word in it
        raise _unusable(folder, of, _first_of(error)) from error


def refuse_open_token(config: Config) -> None:
    """Refuse a token in a config file that others can read. Raises UsageError."""
    for level in ("system", "user", "project", "runtime"):
        path: str | None = getattr(config, f"_{level}_path", None)
        settings = (getattr(config, f"_{level}", None) or {}).get("reclog")
        given = settings.get("token") if isinstance(settings, Mapping) else None
        if path and given is not None:
            from reclog.recordings.senders import token

            if isinstance(token(given), str) and os.stat(path).st_mode & 0o044:
                raise UsageError(
                    f"{path} has a token in it, and others can read it: chmod 600 {shlex.quote(path)}"
                )


def _unusable(folder: Path, of: type[Config], why: str) -> UsageError:
    names = [f"{of.prefix}.{suffix}" for suffix in _SUFFIXES]
    name = next((name for name in names if (folder / name).exists()), names[0])
    return UsageError(f"{folder / name} can't be used ({why}): give it `reclog:`, and settings below that.")


def _first_of(error: Exception) -> str:
    """Return what an error says, in one line: YAML's tell what and where."""
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    if problem and mark is not None:
        return f"line {mark.line + 1}: {problem}"
    return (str(error) or type(error).__name__).splitlines()[0][:200]
