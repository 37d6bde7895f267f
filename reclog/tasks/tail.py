"""`tail`: what recordings say, as it comes and as it was."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from invoke.context import Context

from reclog.console import has_colours, note, prints
from reclog.errors import NoSuchRecordingError, ReclogError, UsageError
from reclog.words import inv

from .edge import configured, task
from .options import ASKED

if TYPE_CHECKING:
    from reclog.look.query import History

#: Lines to begin with in lnav, where one scrolls.
LINES_IN_LNAV = 100_000


@task(
    iterable=["recording", "sender"],
    help={
        **ASKED,
        "lines": "Lines to begin with (default 10; with --since all).",
        "recording": "The one of this name, an ended one too; NAME alone is it.",
        "file": "The recording of this file.",
        "port": "The recording on this port.",
        "host": "Recordings through this tremplin.",
        "follow": "Go on with what comes, until Ctrl-C (default).",
        "until": "Only what came until then; nothing more is followed.",
        "stamp": "Begin each line with its time (UTC) and sender.",
        "json": "Print an object a line: time, sender, text and more.",
        "lnav": "Look at it in lnav, with times and senders.",
    },
)
def tail(
    c: Context,
    lines: Any = None,
    recording: Any = None,
    file: Any = None,
    port: Any = None,
    host: Any = None,
    follow: bool = True,
    since: Any = None,
    until: Any = None,
    sender: Any = None,  # with another default Invoke gives it that one's type, not a list
    grep: Any = None,
    stamp: bool = False,
    json: bool = False,
    lnav: bool = False,
) -> None:
    """Show the last lines, then new ones until Ctrl-C.

    Lines of several recordings begin with their names, and where there are
    several senders, with those. What is missing is stated in its place.

    Colours that a sender wrote act; all else that a terminal would obey is
    shown. The file keeps the bytes.
    """
    from reclog.look import lnav as lnav_program
    from reclog.look.asked import question
    from reclog.look.forms import ASCII_BAR, BAR, Form, Json, Plain, Stamped
    from reclog.look.tail import not_known, show
    from reclog.recordings.checks import count
    from reclog.recordings.settings import merged

    if json and (stamp or lnav):
        raise UsageError("--json tells time and sender already: leave --stamp and --lnav out.")
    asked = question(since, until, sender or (), grep)
    words = configured(c)
    number: int | None = count("--lines", merged({"lines": lines}, words)["lines"])
    if lines is None and "lines" not in words:
        number = None if since is not None else LINES_IN_LNAV if lnav else number
    histories = _histories(recording or (), port, host, file)
    goes_on = follow and until is None
    bar = BAR if prints(BAR) else ASCII_BAR
    try:
        for sentence in not_known(histories, asked):
            note(sentence)
        if lnav:
            with lnav_program.opened() as (out, is_open):
                show(histories, asked, number, Stamped(histories), out, lambda: goes_on and is_open())
            return
        form: Form = (
            Json() if json else Stamped(histories, bar) if stamp else Plain(histories, bar, has_colours())
        )
        show(histories, asked, number, form, sys.stdout, lambda: goes_on)
    except KeyboardInterrupt:
        pass  # the way to end it
    except BrokenPipeError:
        raise  # who reads us has seen enough
    except OSError as error:
        files = ", ".join(history.file for history in histories)
        raise ReclogError(
            f"{files} can't be read ({error.strerror}): is it still what was recorded?"
        ) from error


def _histories(names: Any, port: Any, host: Any, file: Any) -> list[History]:
    """Return the recordings that the words mean: those that run, if they don't say. Raises ReclogError."""
    from reclog.look.query import History
    from reclog.recordings.choice import meant
    from reclog.recordings.registry import Registry

    registry = Registry()
    here = [one for one in registry.here() if not one.fact("files")]
    left = meant(registry.known() if names else here, names, port, host, file)
    found = left if names else [one for one in left if one.is_alive()] or left
    if not found:
        raise NoSuchRecordingError(f"Nothing is being recorded: `{inv('local')}` starts a recording.")
    for one in found:
        if not one.file:
            raise ReclogError(f"{one.name} does not tell its file: `{inv('kill')}` cleans it up.")
    return [History(one) for one in found]
