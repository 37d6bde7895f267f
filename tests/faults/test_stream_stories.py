"""A recording on its way through a stream: whatever is done, each line is there once, or stated."""

from __future__ import annotations

import stream_stories as stories


def test_each_line_is_there_once_or_stated() -> None:
    stories.many(drops=True)


def test_what_comes_again_is_known() -> None:
    stories.another_identity_comes_again()
    stories.cut_otherwise()
