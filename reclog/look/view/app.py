"""The page's server: what each address answers. Read only; whoever asks has been let in by the guard."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from reclog.errors import ReclogError

from ..query import History, Line, Question
from . import asked, live, search, shelf, stretch
from .guard import Guard, Keys

STATIC = Path(__file__).parent / "static"
#: Bytes of a download that are gathered before they are sent.
_PART = 64 * 1024

Answer = Callable[[Request], Response]


def application(books: shelf.Shelf, keys: Keys, is_over: Callable[[], bool] = lambda: False) -> Guard:
    """Return the whole server, behind its guard; `is_over` tells a stream that the server is to end."""

    def history(request: Request) -> History:
        return books.history(request.query_params.get("r", ""))

    def recordings(request: Request) -> Response:
        return _json({"recordings": books.listed()})

    def about(request: Request) -> Response:
        return _json(shelf.about(history(request)))

    def lines(request: Request) -> Response:
        query = request.query_params
        count = max(1, asked.whole(query, "count", 200, asked.MOST_LINES))
        question = asked.question(query)
        if "begin" in query:
            return _json(stretch.onward(history(request), question, asked.whole(query, "begin", 0), count))
        end = asked.whole(query, "end", 0) if "end" in query else None
        return _json(stretch.back(history(request), question, end, count))

    def line(request: Request) -> Response:
        at = asked.whole(request.query_params, "at", 0)
        for found in history(request).forward(asked.question(request.query_params), at, at + 1):
            if isinstance(found, Line):
                return _json(stretch.shown(found, longest=1 << 20))
        raise asked.WrongQuestionError("No line begins there.")

    def at(request: Request) -> Response:
        when = asked.moment(request.query_params, "time")
        return _json({"at": history(request).at(when or 0.0)})

    def timeline(request: Request) -> Response:
        query = request.query_params
        begin, step = asked.whole(query, "begin", 0), asked.whole(query, "step", 0)
        count = asked.whole(query, "count", 0, asked.MOST_BUCKETS)
        if not step or not count:
            raise asked.WrongQuestionError("A timeline has stretches of some time: step, and count.")
        return _json(books.lane(query.get("r", ""), begin, step).until(count))

    def found(request: Request) -> Response:
        query = request.query_params
        begin = asked.whole(query, "begin", 0)
        return _json(search.found(history(request), asked.question(query), begin))

    def follow(request: Request) -> Response:
        query = request.query_params
        question = asked.question(query)
        followed = [
            (name, live.Followed(books.history(name), question, offset))
            for name, offset in asked.places(query.getlist("f"))
        ]
        return StreamingResponse(live.stream(followed, is_over), media_type="text/event-stream")

    def download(request: Request) -> Response:
        told, question = history(request), asked.question(request.query_params)
        name = re.sub(r"[^A-Za-z0-9._-]", "_", told.recording.name)[:100]
        headers = {"Content-Disposition": f'attachment; filename="{name}.log"'}
        with told.opened():
            pass  # what can't be read is said before an answer begins
        sent = _as_sent(told, question)
        return StreamingResponse(sent, media_type="application/octet-stream", headers=headers)

    def page(request: Request) -> Response:
        return FileResponse(STATIC / "page.html")

    answers: dict[str, Answer] = {
        "recordings": recordings,
        "about": about,
        "lines": lines,
        "line": line,
        "at": at,
        "timeline": timeline,
        "search": found,
        "follow": follow,
        "download": download,
    }
    routes = [
        Route("/", page),
        *(Route(f"/api/{name}", sentences(answer)) for name, answer in answers.items()),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    return Guard(Starlette(routes=routes), keys)


def sentences(answer: Answer) -> Answer:
    """Have what goes wrong be a sentence for the page."""

    @functools.wraps(answer)
    def told(request: Request) -> Response:
        try:
            return answer(request)
        except (asked.WrongQuestionError, ReclogError) as error:
            return _json({"error": str(error)}, 400)
        except OSError as error:
            return _json({"error": f"The file can't be read ({error.strerror or error})."}, 404)

    return told


def _as_sent(told: History, question: Question) -> Iterator[bytes]:
    """Yield the bytes of the lines that are meant."""
    part = bytearray()
    with told.opened() as text:
        for line in told.read(text, question, 0):
            if not isinstance(line, Line):
                continue
            part += line.text
            at = line.offset + len(line.text)
            while at < line.end and (rest := text.pread(min(_PART, line.end - at), at)):
                part += rest  # its newline, or what is too long to be had at once
                at += len(rest)
                if len(part) >= _PART:
                    yield bytes(part)
                    part.clear()
        yield bytes(part)


def _json(value: Any, status: int = 200) -> JSONResponse:
    return _Compact(value, status)


class _Compact(JSONResponse):
    def render(self, content: Any) -> bytes:
        # What is half of a surrogate pair stays an escape: UTF-8 has no bytes for it.
        return json.dumps(content, separators=(",", ":")).encode("ascii")
