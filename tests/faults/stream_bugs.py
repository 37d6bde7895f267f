"""Mistakes that somebody could make in a publisher or a subscriber, and the story that must catch each."""

from __future__ import annotations

from functools import partial

import stream_stories as stories
from seeded_bugs import SeededBug

BUGS = [
    SeededBug(
        *("noted before it is settled", "lost", stories.many),
        *("Subscriber._settled", "copy.landing.settled >= offset", "True"),
    ),
    SeededBug(
        *("taken before there is a checkpoint", "doubled", stories.many),
        *("Copy._take", "not landing.anchored", "False"),
    ),
    SeededBug(
        *("what was had in part is taken whole", "doubled", stories.cut_otherwise),
        *("Copy._take", "had = landing.offset - message.begin", "had = 0"),
    ),
    SeededBug(
        *("an identity forgotten", "doubled", stories.another_identity_comes_again),
        *("Copy._begin", "self._before[before] = landing.offset", "pass"),
    ),
    SeededBug(
        *("a gap not stated", "not stated", partial(stories.many, drops=True)),
        *("Copy._take", "self.gaps.came(start, message.begin)", "pass"),
    ),
    SeededBug(
        *("an ack that was lost is believed to be none", "doubled in the stream", stories.many),
        *("place", "own is not None and own.identity.origin == kept.identity.origin", "False"),
    ),
    SeededBug(
        *("all taken for published that was there", "(lost|doubled)", stories.many),
        *("Reading.sent", "self.offset += len(payload)", "self.offset = self.text.end"),
    ),
]
