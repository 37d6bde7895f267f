from __future__ import annotations

import errno
import os
from operator import attrgetter
from typing import Any

import packings
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from model import World
from simdisk import AFTER, BEFORE, WITHIN
from stand_ins import small
from stories import LONG, SHORT, Story, choice, rotated, told, told_with_deaths

EXAMPLES = int(os.environ.get("RECLOG_MODEL_EXAMPLES", "150"))
KEPT = st.lists(st.integers(0, 4), max_size=5)
WHEN = st.sampled_from([BEFORE, WITHIN, AFTER])
MACHINE = st.sampled_from(["tremplin", "laptop"])


class Told(RuleBasedStateMachine):
    """A world that is told what happens, and is drained at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.number = 0
        self.failed = False

    def do(self, step: str, **words: Any) -> None:
        try:
            attrgetter(step)(self.world)(**words)
        except BaseException:
            self.failed = True
            raise

    def teardown(self) -> None:
        if not self.failed:
            self.world.drain()

    @rule(who=st.integers(0, 2), shape=st.sampled_from(["line", "line", "lines", "half", "end", "long"]))
    def add(self, who: int, shape: str) -> None:
        self.number += 1
        name = b"%c%d." % (b"abc"[who], self.number)
        text = {
            "line": name + b"\n",
            "lines": name + b"\n" + name * 3 + b"x\n\n" + name + b"y\n",
            "half": name,
            "end": b"\n",
            "long": name * 12 + b"\n",
        }[shape]
        self.do("add", who=who, text=text)
        if shape != "half":
            self.do("flush_spool")

    @rule(kept=KEPT, where=MACHINE)
    def cut_power(self, kept: list[int], where: str) -> None:
        self.do(f"cut_power_of_{where}", choice=choice(kept))

    @rule(sure=st.integers(0, 3))
    def wipe_spool(self, sure: int) -> None:
        if sure == 3:
            self.do("wipe_spool")

    @rule()
    def all_goes_well(self) -> None:
        """One round of what happens most of the time."""
        for step in ("start_relay", "start_collector", "flush_spool"):
            self.do(step)
        self.do("work_beside", marks=True)
        if not self.world.connected:
            self.do("connect")
        self.do("pump", count=10000)
        for step in ("settle", "synced", "deliver_acks"):
            self.do(step)

    @rule(where=MACHINE, nth=st.integers(1, 8), when=WHEN, kept=st.none() | KEPT)
    def kill_at(self, where: str, nth: int, when: str, kept: list[int] | None) -> None:
        disk = getattr(self.world, where)
        self.do("kill_at", disk=disk, nth=nth, when=when, choice=None if kept is None else choice(kept))

    @rule(where=MACHINE, size=st.integers(1, 6))
    def write_short(self, where: str, size: int) -> None:
        getattr(self.world, where).short = size


#: What needs no words.
PLAIN = (
    *("start_relay", "close_relay", "start_collector", "kill_collector", "end_collector", "ask_to_stop"),
    *("flush_spool", "sync_spool", "lose_acks", "settle", "synced", "retry", "drain", "midnight"),
    *("strangers.truncate", "strangers.remove", "strangers.replace"),
)
#: What happens in one step, and with which words.
STEPS: dict[str, dict[str, Any]] = {
    **{step: {} for step in PLAIN},
    "kill_relay": {"arrives": st.sampled_from([0, 5, 40, 500])},
    "work_beside": {"marks": st.booleans()},
    "connect": {"reaches": st.sampled_from([True, True, True, False])},
    "rotate": {"size": st.sampled_from([0, 1, 20, 60]), "keep": st.integers(0, 2)},
    "pump": {"count": st.sampled_from([10000, 10000, 1, 3, 16, 17, 18, 25, 60, 100])},
    "cut": {"relay_notices": st.booleans()},
    "deliver_acks": {"late": st.sampled_from([False, False, True])},
    "strangers.write_beside": {"whole": st.booleans()},
    "strangers.rotate": {"new": st.booleans()},
}
for _where in ("tremplin", "laptop"):
    _number = st.sampled_from([errno.EIO, errno.ENOSPC])
    STEPS[f"{_where}.fail_at"] = {"nth": st.integers(1, 5), "number": _number, "reads": st.booleans()}
    STEPS[f"{_where}.give_room"] = {"count": st.sampled_from([None, None, 0, 1, 7, 30, 200, 300])}


def _rule(step: str, words: dict[str, Any]) -> Any:
    def happens(self: Told, **given: Any) -> None:
        self.do(step, **given)

    happens.__name__ = step.replace(".", "_")
    decorate: Any = rule(**words)  # what it returns has no types
    return decorate(happens)


#: All that can happen, in any order.
Tremplin = type("Tremplin", (Told,), {step.replace(".", "_"): _rule(step, STEPS[step]) for step in STEPS})


def test_whatever_happens_the_promises_hold() -> None:
    with small():
        run_state_machine_as_test(
            Tremplin,
            settings=settings(
                max_examples=EXAMPLES, stateful_step_count=40, print_blob=True, report_multiple_bugs=False
            ),
        )


@pytest.mark.parametrize("where", ["tremplin", "laptop"])
@pytest.mark.parametrize("story", LONG, ids=lambda story: story.__name__)
def test_a_death_at_every_change(story: Story, where: str) -> None:
    told_with_deaths(story, where, all_of_both="RECLOG_MODEL_EXAMPLES" in os.environ)


def test_a_death_at_every_change_of_a_rotation() -> None:
    told_with_deaths(rotated, "laptop")


def test_a_death_at_every_change_of_a_compression() -> None:
    packings.told()


@pytest.mark.parametrize("story", SHORT, ids=lambda story: story.__name__)
def test_a_story(story: Story) -> None:
    told(story)
