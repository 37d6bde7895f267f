from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from model import World
from simdisk import AFTER, BEFORE, WITHIN
from stand_ins import small
from stories import LONG, SHORT, Story, choice, told, told_with_deaths

EXAMPLES = int(os.environ.get("RECLOG_MODEL_EXAMPLES", "150"))
KEPT = st.lists(st.integers(0, 4), max_size=5)
WHEN = st.sampled_from([BEFORE, WITHIN, AFTER])
MACHINE = st.sampled_from(["tremplin", "laptop"])


class Tremplin(RuleBasedStateMachine):
    """All that can happen, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.number = 0
        self.failed = False

    def do(self, step: Callable[..., None], *words: Any) -> None:
        try:
            step(*words)
        except BaseException:
            self.failed = True
            raise

    def teardown(self) -> None:
        if not self.failed:
            self.world.drain()

    # -- senders, relay

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
        self.do(self.world.add, who, text)
        if shape != "half":
            self.do(self.world.flush_spool)

    @rule()
    def flush_spool(self) -> None:
        self.do(self.world.flush_spool)

    @rule()
    def sync_spool(self) -> None:
        self.do(self.world.sync_spool)

    @rule(marks=st.booleans())
    def work_beside(self, marks: bool) -> None:
        self.do(self.world.work_beside, marks)

    @rule(arrives=st.sampled_from([0, 5, 40, 500]))
    def kill_relay(self, arrives: int) -> None:
        self.do(self.world.kill_relay, arrives)

    @rule()
    def close_relay(self) -> None:
        self.do(self.world.close_relay)

    @rule()
    def start_relay(self) -> None:
        self.do(self.world.start_relay)

    @rule(kept=KEPT)
    def cut_power_of_tremplin(self, kept: list[int]) -> None:
        self.do(self.world.cut_power_of_tremplin, choice(kept))

    @rule(sure=st.integers(0, 3))
    def wipe_spool(self, sure: int) -> None:
        if sure == 3:
            self.do(self.world.wipe_spool)

    # -- connection

    @rule(reaches=st.sampled_from([True, True, True, False]))
    def connect(self, reaches: bool) -> None:
        self.do(self.world.connect, reaches)

    @rule(count=st.sampled_from([10000, 10000, 1, 3, 16, 17, 18, 25, 60, 100]))
    def pump(self, count: int) -> None:
        self.do(self.world.pump, count)

    @rule(notices=st.booleans())
    def cut(self, notices: bool) -> None:
        self.do(self.world.cut, notices)

    @rule(late=st.sampled_from([False, False, True]))
    def deliver_acks(self, late: bool) -> None:
        self.do(self.world.deliver_acks, late)

    @rule()
    def lose_acks(self) -> None:
        self.do(self.world.lose_acks)

    @rule()
    def all_goes_well(self) -> None:
        """One round of what happens most of the time."""
        self.do(self.world.start_relay)
        self.do(self.world.start_collector)
        self.do(self.world.flush_spool)
        self.do(self.world.work_beside, True)
        if not self.world.connected:
            self.do(self.world.connect)
        self.do(self.world.pump, 10000)
        self.do(self.world.settle)
        self.do(self.world.synced)
        self.do(self.world.deliver_acks)

    # -- collector

    @rule()
    def settle(self) -> None:
        self.do(self.world.settle)

    @rule()
    def synced(self) -> None:
        self.do(self.world.synced)

    @rule()
    def retry(self) -> None:
        self.do(self.world.retry)

    @rule()
    def kill_collector(self) -> None:
        self.do(self.world.kill_collector)

    @rule()
    def end_collector(self) -> None:
        self.do(self.world.end_collector)

    @rule()
    def start_collector(self) -> None:
        self.do(self.world.start_collector)

    @rule(kept=KEPT)
    def cut_power_of_laptop(self, kept: list[int]) -> None:
        self.do(self.world.cut_power_of_laptop, choice(kept))

    @rule()
    def ask_to_stop(self) -> None:
        self.do(self.world.ask_to_stop)

    # -- strangers

    @rule()
    def truncate(self) -> None:
        self.do(self.world.strangers.truncate)

    @rule(whole=st.booleans())
    def write_beside(self, whole: bool) -> None:
        self.do(self.world.strangers.write_beside, whole)

    @rule(new=st.booleans())
    def rotate(self, new: bool) -> None:
        self.do(self.world.strangers.rotate, new)

    @rule()
    def remove(self) -> None:
        self.do(self.world.strangers.remove)

    @rule()
    def replace(self) -> None:
        self.do(self.world.strangers.replace)

    # -- faults

    @rule(where=MACHINE, nth=st.integers(1, 8), when=WHEN, kept=st.none() | KEPT)
    def kill_at(self, where: str, nth: int, when: str, kept: list[int] | None) -> None:
        disk = getattr(self.world, where)
        self.do(self.world.kill_at, disk, nth, when, None if kept is None else choice(kept))

    @rule(where=MACHINE, room=st.sampled_from([None, None, 0, 1, 7, 30, 200, 300]))
    def give_room(self, where: str, room: int | None) -> None:
        getattr(self.world, where).give_room(room)

    @rule(where=MACHINE, nth=st.integers(1, 5), number=st.sampled_from([errno.EIO, errno.ENOSPC]))
    def fail_at(self, where: str, nth: int, number: int) -> None:
        getattr(self.world, where).fail_at(nth, number)

    @rule(where=MACHINE, nth=st.integers(1, 5))
    def fail_to_read(self, where: str, nth: int) -> None:
        getattr(self.world, where).fail_at(nth, reads=True)

    @rule(where=MACHINE, size=st.integers(1, 6))
    def write_short(self, where: str, size: int) -> None:
        getattr(self.world, where).short = size

    @rule()
    def drain(self) -> None:
        self.do(self.world.drain)


def test_whatever_happens_the_promises_hold() -> None:
    with small():
        run_state_machine_as_test(
            Tremplin,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                print_blob=True,
                database=None,
                report_multiple_bugs=False,
            ),
        )


@pytest.mark.parametrize("where", ["tremplin", "laptop"])
@pytest.mark.parametrize("story", LONG, ids=lambda story: story.__name__)
def test_a_death_at_every_change(story: Story, where: str) -> None:
    told_with_deaths(story, where)


@pytest.mark.parametrize("story", SHORT, ids=lambda story: story.__name__)
def test_a_story(story: Story) -> None:
    told(story)
