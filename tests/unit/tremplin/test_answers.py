"""Whatever a tremplin answers is used with the right types, or refused in a sentence, and never acts."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reclog.console import visible
from reclog.engine.records.jsonfile import parse_json
from reclog.errors import HostError
from reclog.tremplin.scripts import start_answer, why_not_sent
from reclog.tremplin.survey import Survey

RELAY = {
    "config": {"port": 1, "secret": "s"},
    "owner": {"name": "me", "since": "then"},
    "program": "",
    "pid": 1,
    "left": 0,
    "stopping": False,
}
ANSWER = {
    "python": [3, 11],
    "home": "/home/me",
    "base": "/home/me/relay",
    "writable": True,
    "free": 1 << 40,
    "relays": {"1": RELAY},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def answers(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the right answer with something else in one place or two."""
    answer: dict[str, Any] = json.loads(json.dumps(ANSWER))
    relay = answer["relays"]["1"]
    places = [answer, answer["relays"], relay, relay["owner"], relay["config"]]
    for where in draw(st.lists(st.sampled_from(places), min_size=1, max_size=2)):
        where[draw(st.sampled_from(sorted(where)) | st.text(max_size=5))] = draw(JSON)
    return answer


@given(answers())
def test_a_survey_has_the_right_types_or_is_refused(answer: dict[str, Any]) -> None:
    with contextlib.suppress(ValueError, HostError):
        seen = Survey.from_json(parse_json(json.dumps(answer)))
        seen.check("trem")
        for name, relay in seen.relays.items():
            assert name.isdigit()
            words = (seen.home, seen.base, relay.owner, relay.since)
            assert all(visible(word) == word and len(word) < 100_000 for word in words)
            assert type(relay.pid) is type(relay.left) is int
            assert relay.pid >= 0 <= relay.left
            assert isinstance(relay.secret, str)


@given(
    st.text()
    | JSON.map(json.dumps)
    | st.dictionaries(st.sampled_from(["ready", "cause", "notes"]), JSON).map(json.dumps)
)
def test_a_start_is_ready_if_it_says_so(said: str) -> None:
    answer = start_answer(said)
    words = (answer.cause, answer.message, answer.listener, *answer.notes, why_not_sent(said))
    assert len(answer.notes) <= 10
    assert all(visible(word) == word and len(word) <= 500 for word in words)
    assert not answer.ready or '"ready": true' in said
