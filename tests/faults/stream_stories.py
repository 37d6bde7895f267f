"""A recording on its way through a stream, without servers: publisher and subscriber die at any step."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ledger import Broken

from reclog.engine.daemons.daemon import Daemon
from reclog.stream import place as placing
from reclog.stream import position as positions
from reclog.stream.jetstream import Held
from reclog.stream.message import Identity, decode, encode
from reclog.stream.position import Position, Stream
from reclog.stream.pull import Taken
from reclog.stream.reading import LATE, Reading
from reclog.stream.subscriber import Subscriber, SubscriberConfig

SUBJECT = "reclog.laptop.local-1"


class World:
    """What was recorded, what is published of it, and its copy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file, self.copy = folder / "file.log", folder / "copy.log"
        self.recording, self.subscriber_folder = folder / "local-1", folder / "recordings" / "subscriber"
        self.recording.mkdir()
        self.subscriber_folder.mkdir(parents=True)
        self.file.touch()
        self.lines = 0
        #: The stream: what each message says, and the message before which all that is older was dropped.
        self.messages: list[tuple[dict[str, str], bytes]] = []
        self.first = 0
        self.created = "then"
        self.now = 100.0
        self.start_publisher()
        self.start_subscriber()

    # -- the publisher --------------------------------------------------------------------------

    def start_publisher(self) -> None:
        self.reading = Reading(
            str(self.recording), str(self.file), lambda event, **facts: None, lambda: self.now
        )
        self.reading.text.look()
        held = Held(len(self.messages), *self.messages[-1]) if self.messages else None
        at = placing.place(
            self.reading.kept, placing.own_of(held), self.created, len(self.messages), self.reading.text
        )
        self.reading.stand(at, len(self.messages), self.created)

    def record(self, count: int) -> None:
        with self.file.open("ab") as file:
            for _ in range(count):
                file.write(b"line %d\n" % self.lines)
                self.lines += 1

    def publish(self, most: int, is_told: bool = True) -> bool:
        """Publish a message, if there is any, and tell whether; `is_told` that it is there."""
        for _ in range(3):
            self.now += LATE + 0.01  # there is no index
            payload = self.reading.next(most)
            if payload:
                break
        if payload:
            at = self.reading.offset
            headers = encode(self.reading.identity, at, payload, self.reading.runs(at, payload))
            self.messages.append((headers, payload))
            if is_told:
                self.reading.sent(payload, len(self.messages))
        return bool(payload)

    def publish_untold(self) -> None:
        """Publish a message, and be killed before it is said that it is there."""
        self.publish(30, is_told=False)
        self.kill_publisher()

    def kill_publisher(self) -> None:
        self.reading.text.close()
        self.start_publisher()

    # -- the subscriber -------------------------------------------------------------------------

    def start_subscriber(self) -> None:
        self.daemon = Daemon(str(self.subscriber_folder))
        config = SubscriberConfig(servers=["nats://127.0.0.1"], file=str(self.copy))
        self.subscriber = Subscriber(self.daemon, config)
        position = positions.read(self.daemon.folder)
        self.had = position.sequence if position else 0
        at = position or Position("reclog", self.created, 0, 0.0)
        self.subscriber.reached(Stream("reclog", self.created, len(self.messages)), at)

    def take(self, count: int) -> None:
        begin = max(self.had, self.first)
        taken = [
            Taken(SUBJECT, headers, payload, 0, Position("reclog", self.created, number, 1.0))
            for number, (headers, payload) in enumerate(self.messages[begin : begin + count], begin + 1)
        ]
        if taken:
            self.had = taken[-1].position.sequence
            self.subscriber.came(taken)

    def settle(self) -> None:
        for copy in self.subscriber.copies:
            copy.acks.settle()

    def note(self) -> None:
        self.subscriber._note()

    def kill_subscriber(self) -> None:
        self.let_go()
        self.start_subscriber()

    def let_go(self) -> None:
        for copy in self.subscriber.copies:
            copy.landing.close()
        self.daemon.loop.close()

    # -- what is promised -----------------------------------------------------------------------

    def judge(self) -> None:
        """See that the stream and the copy have each line once, in order. Raises Broken."""
        had: dict[Identity, int] = {}
        for headers, payload in self.messages:
            message = decode(headers, payload)
            before = had.get(message.identity, message.begin)
            if message.begin != before:
                raise Broken(
                    f"{'doubled' if message.begin < before else 'lost'} in the stream: {message[:3]}"
                )
            had[message.identity] = message.end
        recorded, copied = (path.read_bytes().splitlines() for path in (self.file, self.copy))
        missing = Counter(recorded) - Counter(copied)
        if more := Counter(copied) - Counter(recorded):
            raise Broken(f"doubled: {list(more)[:3]}")
        if missing and not self.first:
            raise Broken(f"lost: {list(missing)[:3]}")
        stated = (self.subscriber_folder / "holes.log").read_text().count('"event": "gap"')
        if stated and not missing:
            raise Broken(f"lost: {stated} gaps are stated")
        if missing and not stated:
            raise Broken(f"not stated: {list(missing)[:3]}")
        if copied != [line for line in recorded if line not in missing]:
            raise Broken("reordered: the copy")


def _say_nothing(event: str, **facts: object) -> None:
    pass


def played(seed: int, drops: bool = False) -> None:
    """Do things at random, bring all, and judge. Raises Broken."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        deeds: dict[str, Callable[[], object]] = {
            "record": lambda: world.record(dice.randint(1, 5)),
            "publish": lambda: world.publish(dice.choice([10, 30, 1000])),
            "publish, untold": world.publish_untold,
            "kill publisher": world.kill_publisher,
            "take": lambda: world.take(dice.randint(1, 4)),
            "settle": world.settle,
            "note": world.note,
            "kill subscriber": world.kill_subscriber,
        }
        try:
            for _ in range(60):
                deeds[dice.choice([*deeds])]()
            _bring_all(world)
            world.judge()
            if drops:
                world.record(10)
                for _ in range(3):
                    world.publish(30)
                world.first = len(world.messages) - 1
                _bring_all(world)
                world.judge()
        finally:
            world.reading.close()
            world.let_go()


def _bring_all(world: World) -> None:
    while world.publish(1000):
        pass
    world.take(len(world.messages))
    world.settle()


def many(drops: bool = False) -> None:
    """Play several times."""
    for seed in range(8):
        played(seed, drops)


def another_identity_comes_again() -> None:
    """The file is replaced, then the subscriber, killed, reads all again from the beginning."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        try:
            world.record(5)
            _bring_all(world)
            world.file.write_bytes(b"quite another 1\nquite another 2\n")
            world.now += 10
            for _ in range(5):
                world.publish(1000)
            world.take(len(world.messages))
            world.settle()
            world.kill_subscriber()
            world.had = 0
            world.take(len(world.messages))
            lines = world.copy.read_bytes().splitlines()
            if len(lines) != len(set(lines)):
                raise Broken(f"doubled: {lines}")
        finally:
            world.reading.close()
            world.let_go()


def cut_otherwise() -> None:
    """What was had is published again in a stream made anew, in longer messages."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        try:
            world.record(9)
            while world.publish(10):
                pass
            world.take(5)
            world.messages.clear()
            world.created = "anew"
            world.had = 0
            world.kill_publisher()
            _bring_all(world)
            world.judge()
        finally:
            world.reading.close()
            world.let_go()
