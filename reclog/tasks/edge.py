"""The edge between reclog and its command line: errors become sentences and exit statuses here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from invoke.context import Context
from invoke.exceptions import Exit

from reclog.errors import ReclogError, UsageError

Body = TypeVar("Body", bound=Callable[..., Any])


def sentences(body: Body) -> Body:
    """Turn a ReclogError of a task's body into its sentence on stderr and its exit status."""

    @functools.wraps(body)
    def task_body(*args: Any, **kwargs: Any) -> Any:
        try:
            return body(*args, **kwargs)
        except ReclogError as error:
            raise Exit(str(error), error.code) from error

    return task_body  # type: ignore[return-value]


def configured(c: Context) -> Mapping[str, Any]:
    """Return the `reclog:` part of the config; empty where a task is called without a namespace.

    Raises UsageError.
    """
    part = c.config.get("reclog", {})
    if part and not hasattr(part, "keys"):  # Invoke's own mapping is no Mapping
        raise UsageError("`reclog:` in the config holds no settings: give them as `reclog: {port: 55514}`.")
    return dict(part) if part else {}
