"""`tail`: follow a recording."""

from __future__ import annotations

from typing import Any

from invoke.context import Context
from invoke.tasks import task

from reclog.errors import ReclogError
from reclog.look.tail import follow as follow_file
from reclog.recordings.checks import count
from reclog.recordings.choice import the_one
from reclog.recordings.registry import Registry
from reclog.recordings.settings import merged
from reclog.words import inv

from .edge import configured, sentences


@task(
    auto_shortflags=False,
    help={
        "lines": "Lines to begin with (default 10).",
        "file": "The recording of this file.",
        "port": "The recording on this port.",
        "follow": "Go on with what comes (default), until Ctrl-C; --no-follow ends at once.",
    },
)
@sentences
def tail(c: Context, lines: Any = None, file: Any = None, port: Any = None, follow: bool = True) -> None:
    """Follow the file of a recording, through rotation, until Ctrl-C.

    Control characters that a sender wrote are shown, not obeyed; the file keeps
    the bytes.
    """
    number = count("--lines", merged({"lines": lines}, configured(c))["lines"])
    recording = the_one(list(Registry().here()), port, None, file)
    if not recording.file:
        raise ReclogError(f"{recording.name} does not tell its file: `{inv('kill')}` cleans it up.")
    try:
        for line in follow_file(recording.file, number, lambda: follow):
            print(line, flush=True)
    except KeyboardInterrupt:
        pass  # the way to end it
    except BrokenPipeError:
        raise  # who reads us has seen enough
    except OSError as error:
        raise ReclogError(
            f"{recording.file} can't be read ({error.strerror}): is it still what was recorded?"
        ) from error
