"""Settings of any kind: they make sense, or one of them is refused in a sentence."""

from __future__ import annotations

import json
import os
import socket
from typing import Any

import pytest
from fuzz import cases, raw
from hypothesis import given
from hypothesis import strategies as st
from invoke.config import Config
from invoke.context import Context
from properties import examples

from reclog.engine.system.loop import Loop
from reclog.errors import UsageError
from reclog.recordings.defaults import DEFAULTS, option_name
from reclog.recordings.settings import resolve_local, resolve_tremplin
from reclog.tasks.edge import configured

YAML = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.sampled_from([10**400, float("inf"), float("nan"), 1e300, 3e6, 1e-300, -1, 0.5]),
        st.floats(),
        st.text(max_size=10),
        st.sampled_from(
            ["9" * 5000, "1" + "0" * 400, "9" * 5000 + "GiB", "1\u212a", "1e999", "a\0b", "~x/y", "\ud800"]
        ),
        st.sampled_from(
            ["10.0.0.0/8", "::1%lo", "[::]", "1GiB", "\u0661", "auto", "socat", "builtin", "5 MiB"]
        ),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@examples(200)
@given(config=st.dictionaries(st.sampled_from(sorted(map(option_name, DEFAULTS))), YAML, max_size=4))
def test_a_value_that_is_none_is_named(config: dict[str, Any]) -> None:
    check_settings(config)


def check_settings(config: dict[str, Any]) -> bool:
    """Resolve all settings from a config; True if it is refused for one of them."""
    refused = False
    for resolve in (resolve_local, lambda flags, config: resolve_tremplin(flags, config, "there")):
        try:
            found = resolve({}, config)
        except UsageError as error:
            refused = len(str(error)) < 1000  # a sentence stays one
            assert refused
            continue
        assert json.loads(json.dumps(vars(found)))
        assert type(found.file) is str
        os.fsencode(found.file)
        assert all(type(network) is str for network in found.allow)
        loop = Loop()
        try:
            loop.timer(lambda: None).at(found.partial_after)
            assert found.partial_after > 0
            socket.socket().settimeout(found.partial_after)
        finally:
            loop.close()
    return refused


@pytest.mark.parametrize("case", cases("settings"))
def test_kept_settings(case: dict[str, Any]) -> None:
    config = {
        name: raw(words).decode("utf-8") if isinstance(words, dict) else words
        for name, words in case["config"].items()
    }
    assert check_settings(config)


@pytest.mark.parametrize("part", [5, "hello", [1, 2], [["port", 5]], True, 1.5], ids=repr)
def test_a_config_whose_part_is_no_mapping_is_said(part: Any) -> None:
    with pytest.raises(UsageError, match="reclog"):
        configured(Context(Config(overrides={"reclog": part})))
