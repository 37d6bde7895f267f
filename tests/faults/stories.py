"""Stories of a tremplin and a laptop: what happens is written down, the promises are checked at each step."""

from __future__ import annotations

from collections.abc import Callable

from ledger import Broken
from model import World
from simdisk import AFTER, WITHIN
from stand_ins import small
from strangers import FILE

Story = Callable[[World], None]


def choice(kept: list[int]) -> Callable[[int], int]:
    """How much of what was not synced a power cut leaves, in quarters; then nothing."""
    left = iter(kept)
    return lambda most: most * next(left, 0) // 4


def told(story: Story) -> None:
    """Have a story happen in a world of its own. Raises Broken."""
    with small():
        story(World())


def told_with_deaths(story: Story, where: str, all_of_both: bool = False) -> None:
    """Kill the process there at each of its changes, or cut the power at it. Raises Broken.

    In turns, or `all_of_both`: each of them at each change.
    """
    with small():
        world = World()
        disk = getattr(world, where)
        begun = disk.changes
        story(world)
        changes = range(begun + 1, disk.changes + 1)
        writes = [change for change in disk.writes if change > begun]
        world.drain()
        killed, cut = (changes, changes) if all_of_both else (changes[::2], changes[1::2])
        for when, kept, victims in (WITHIN, None, writes), (AFTER, None, killed), (AFTER, [], cut):
            for change in victims:
                world = World()
                disk = getattr(world, where)
                world.kill_at(disk, change - begun, when, None if kept is None else choice(kept))
                story(world)
                world.drain()
                assert disk.deaths == 1


def spool(world: World, text: bytes, who: int = 1) -> None:
    world.add(who, text)
    world.flush_spool()


def take(world: World, *texts: bytes, who: int = 1) -> None:
    """Have texts of a sender spooled and sent; the collector writes them, and that is all."""
    world.start_relay()
    world.start_collector()
    for text in texts:
        world.add(who, text)
    world.flush_spool()
    if not world.connected:
        world.connect()
    world.work_beside(marks=True)
    world.work_beside(marks=False)
    world.retry()
    world.pump(10000)


def go(world: World, *texts: bytes, who: int = 1) -> None:
    """The same, settled and acked."""
    take(world, *texts, who=who)
    world.settle()
    world.synced()
    world.deliver_acks()


def plain(world: World) -> None:
    """Lines and half lines of two senders, more than a spool holds at a time."""
    for number in range(4):
        go(world, b"a%d." % number, b"half\n", b"a%d: %s\n" % (number, b"long " * 6))
        take(world, b"b%d." % number, who=2)
        world.sync_spool()
        go(world, b"a%d!\n\n" % number)
        take(world, b"a%d?" % number)


def lossy(world: World) -> None:
    """Connections break, acks are lost, frames are cut; the spool is never all acked."""
    for number in range(4):
        take(world, b"a%d\n" % number, b"a%d: %s\n" % (number, b"long " * 5))
        world.lose_acks()
        world.start_relay()
        spool(world, b"b%d\n" % number, who=2)
        world.start_collector()
        world.connect()
        world.pump(19 + number)
        world.settle()
        world.cut(relay_notices=number % 2 == 0)
        go(world, b"a%d." % number)
        world.deliver_acks(late=True)


def edited(world: World) -> None:
    """Strangers write, rename, remove, truncate, while it runs and while it doesn't."""
    go(world, b"a0\n")
    acts = [
        world.strangers.rotate_anew,
        world.strangers.truncate,
        world.strangers.remove,
        world.strangers.rotate_away,
    ]
    for number, act in enumerate(acts, 1):
        take(world, b"a%d\n" % number)
        world.strangers.write_beside(whole=number % 2 == 0)
        take(world, b"a%d\n" % number, b"a%d." % number)
        world.settle()  # and while a sync is under way
        act()
        world.synced()
        take(world, b"half\n", b"b%d\n" % number, who=2)
        if number == 2:
            world.end_collector()
        if number > 2:
            world.kill_collector()
        act()
        go(world, b"c%d\n" % number, who=3)


def cramped(world: World) -> None:
    """Disks are full and writes short, on both sides; lines are cut in the middle."""
    for number in range(3):
        go(world, b"a%d\n" % number)
        world.laptop.give_room(5 + 2 * number)
        take(world, b"line of a%d\n" % number, b"b%d\n" % number)
        world.retry()
        if number % 3 == 1:
            world.strangers.write_beside(whole=False)
        if number % 3 == 2:
            world.kill_collector()
        world.laptop.give_room(None)
        world.laptop.short = 3
        take(world, b"c%d\n" % number, who=2)
        world.tremplin.give_room(4 + number)
        go(world, b"d%d and more\n" % number)
        world.tremplin.give_room(None)
        world.tremplin.short = 2
        go(world, b"e%d\n" % number, who=2)
    world.cut()
    for number in range(20):  # more than the spool holds
        world.start_relay()
        spool(world, b"f%d: %s\n" % (number, b"long " * 6))


def ended(world: World) -> None:
    """Recordings end in order, and others begin."""
    for number in range(3):
        go(world, b"a%d\n" % number)
        take(world, b"a%d." % number)
        world.ask_to_stop()
        world.add(2, b"last of %d\n" % number)
        world.deliver_acks()
        world.flush_spool()
        for _ in range(2):
            go(world)
        world.close_relay()
        world.end_collector()


def rotated(world: World) -> None:
    """The file is cut by its size and at midnight, at a line's end and inside of one, by us alone."""
    world.rotate(30)
    go(world, b"a0\n", b"a: %s\n" % (b"long " * 5))
    take(world, b"b: %s" % (b"long " * 13), who=2)
    take(world, b"and on\n", who=2)
    world.kill_collector()
    world.start_collector()
    world.midnight()  # while it compares
    take(world, b"c\n")
    world.midnight()
    take(world, b"d.", b"\n")


LONG = [plain, lossy, edited, cramped, ended]


# -- one story each: what was found, and what a random example rarely tells -------------------------------


def holds(world: World, text: bytes) -> None:
    found = world.laptop.find(FILE)
    assert found is not None
    if found.cache.data != text:
        raise Broken(f"torn: the file holds {bytes(found.cache.data)!r}, not {text!r}")


def a_segment_acked_in_part_stays(world: World) -> None:
    for number in range(30):
        spool(world, b"line %d\n" % number)
    world.connect()
    for _ in range(12):
        world.pump(45)
        world.settle()
        world.synced()
        world.deliver_acks()
    world.drain()


def power_goes_between_sync_and_checkpoint(world: World) -> None:
    go(world, b"one\n")
    for nth in range(1, 10):
        go(world, b"line %d\n" % nth)
        spool(world, b"another %d\n" % nth)
        world.pump(10000)
        world.kill_at(world.laptop, nth, AFTER, lambda most: 0)
        world.settle()
        world.synced()
        world.drain()


def what_comes_during_a_sync_is_not_settled_by_it(world: World) -> None:
    go(world, b"one\n")
    take(world, b"two\n")
    world.settle()
    take(world, b"three\n")
    world.synced()
    world.kill_collector()
    world.drain()
    holds(world, b"one\ntwo\nthree\n")


def a_sync_of_a_file_that_was_left_settles_nothing(world: World) -> None:
    go(world, b"one\n")
    take(world, b"two\n")
    world.settle()
    world.strangers.rotate(new=False)
    take(world, b"three\n")
    world.synced()
    world.kill_collector()
    world.start_collector()
    if "file changed" in world.events:
        raise Broken(f"lost: the checkpoint is of no file that is there, and the events are {world.events}")
    world.drain()


def a_gap_within_a_line_ends_it(world: World) -> None:
    go(world, b"half")
    spool(world, b" of a line\n")
    world.cut_power_of_tremplin(lambda most: 0)
    world.drain()
    go(world, b"next\n")
    world.drain()
    holds(world, b"half\nnext\n")


def a_half_line_that_a_stranger_went_on_with_is_written_again(world: World) -> None:
    go(world, b"one\n")
    spool(world, b"half of a line\n")
    world.laptop.give_room(4)
    world.pump(10000)
    world.kill_collector()
    world.strangers.write_beside(whole=True)
    world.drain()
    holds(world, b"one\nhalf#0#\nhalf of a line\n")


def a_file_truncated_and_grown_is_noticed(world: World) -> None:
    go(world, b"one\n")
    world.kill_collector()
    world.strangers.truncate()
    world.strangers.write_beside(whole=True)
    world.strangers.write_beside(whole=True)
    world.start_collector()
    if "file changed" not in world.events:
        raise Broken(f"unsaid: the file was truncated, and the events are {world.events}")
    world.drain()


def an_ack_on_its_way_when_the_end_is_said_is_not_the_last(world: World) -> None:
    go(world, b"one\n")
    world.ask_to_stop()
    spool(world, b"two\n")
    world.pump(10000)
    world.settle()
    world.synced()  # an ack of this leaves, and the relay says its last word before it comes
    spool(world, b"three\n")
    assert world.feed is not None
    world.feed.ending = True
    world._move(10000)
    world.deliver_acks()
    world.stopping = True
    world.drain()


def a_new_files_name_is_on_disk_before_an_ack(world: World) -> None:
    go(world, b"one\n")
    world.strangers.rotate(new=False)
    go(world, b"two\n")
    world.cut_power_of_laptop(lambda most: 0)
    world.drain()


def nothing_is_taken_before_a_checkpoint_of_that_spool_is_saved(world: World) -> None:
    world.laptop.give_room(7)
    go(world, b"one\n")
    world.kill_collector()
    world.drain()


def a_stop_whose_last_ack_gets_lost_can_be_tried_again(world: World) -> None:
    go(world, b"one\n")
    world.ask_to_stop()
    spool(world, b"two\n")
    world.laptop.give_room(7)
    for _ in range(3):
        go(world)
    world.drain()


def nothing_goes_to_a_new_file_before_a_checkpoint_says_so(world: World) -> None:
    go(world)
    world.strangers.rotate(new=False)
    world.laptop.give_room(4)
    take(world, b"one\n")
    world.retry()
    world.kill_collector()
    world.drain()


def a_checkpoint_that_can_not_be_read_is_not_lost(world: World) -> None:
    world.laptop.fail_at(1)  # nothing is settled, so that the relay has it still
    go(world, b"one\n")
    world.end_collector()
    world.laptop.fail_at(2, reads=True)
    go(world)
    world.drain()


def a_line_behind_a_strangers_is_not_written_twice(world: World) -> None:
    go(world)
    world.kill_collector()
    world.strangers.write_beside(whole=True)
    take(world, b"one\n")
    world.kill_collector()
    world.drain()


def a_removal_cut_short_leaves_a_spool_that_opens(world: World) -> None:
    go(world, b"one\n")
    world.ask_to_stop()
    world.deliver_acks()
    world.kill_at(world.tremplin, 3)
    for _ in range(2):
        go(world)
    world.drain()


def a_checkpoint_on_the_way_over_a_gap_is_right(world: World) -> None:
    go(world, b"one\n")
    spool(world, b"two\n")
    world.sync_spool()
    spool(world, b"lost\n")
    world.cut_power_of_tremplin(lambda most: 0)
    world.start_relay()
    spool(world, b"three\n")
    world.connect()
    world.strangers.rotate(new=True)
    world.pump(10000)
    world.kill_collector()
    world.strangers.rotate(new=True)
    world.drain()


def a_half_line_found_in_the_file_is_acked(world: World) -> None:
    go(world)
    take(world, b"half")
    world.kill_collector()
    world.drain()


def what_was_synced_survives_the_power(world: World) -> None:
    """A segment is left while the sync of its beginning is done and not yet told."""
    for number in range(10):
        spool(world, b"line %02d\n" % number)
        if not number:
            world.sync_spool()
            world.work_beside(marks=False)
    for _ in range(3):
        world.work_beside(marks=False)
    world.cut_power_of_tremplin(lambda most: 0)
    world.drain()


def use_most_of_two_marks(world: World, at_half: Callable[[], None] = lambda: None) -> None:
    """Write beyond the first mark, and not beyond the one that is saved when half of it is used."""
    for number in range(28):
        spool(world, b"line %02d\n" % number)
        if number == 14:
            at_half()
    world.cut_power_of_tremplin(lambda most: 0)
    world.drain()


def a_mark_is_not_used_before_it_is_on_disk(world: World) -> None:
    use_most_of_two_marks(world)


def a_mark_that_could_not_be_saved_is_not_used(world: World) -> None:
    def at_half() -> None:
        world.tremplin.fail_at(1)
        world.work_beside(marks=True)
        world.tremplin.mend()
        world.work_beside(marks=True)

    use_most_of_two_marks(world, at_half)


#: One thing each: what was found, and what a random example rarely tells.


def who_said_it_is_known_after_kills(world: World) -> None:
    """What was acked is in the index; what was not is found in the file, and who said it comes again."""
    go(world, b"a1\n")
    go(world, b"a2\n")
    take(world, b"b1\n", b"b2\n", b"b.", who=2)
    world.kill_collector()
    take(world, b"a3\n")
    world.lose_acks()
    world.kill_collector()
    go(world, b"half.", who=2)
    world.kill_collector()
    go(world, b"end\n", who=2)
    if world.known.check() < 1:
        raise Broken("unknown: only of some of the file the index says who said it")


#: Told with a death at every change on a disk.


def what_another_spool_said_is_forgotten(world: World) -> None:
    """Who said it came, and not the bytes; what comes at these offsets is another relay's."""
    go(world, b"a1\n")
    spool(world, b"a2\n")
    world.pump(60)
    world.wipe_spool()
    world.cut()
    go(world, b"b1\n", b"b2\n", b"b3\n", who=2)
    world.known.check()


SHORT = [
    what_was_synced_survives_the_power,
    a_mark_is_not_used_before_it_is_on_disk,
    a_mark_that_could_not_be_saved_is_not_used,
    a_segment_acked_in_part_stays,
    power_goes_between_sync_and_checkpoint,
    what_comes_during_a_sync_is_not_settled_by_it,
    a_sync_of_a_file_that_was_left_settles_nothing,
    a_gap_within_a_line_ends_it,
    a_half_line_that_a_stranger_went_on_with_is_written_again,
    a_file_truncated_and_grown_is_noticed,
    an_ack_on_its_way_when_the_end_is_said_is_not_the_last,
    a_new_files_name_is_on_disk_before_an_ack,
    nothing_is_taken_before_a_checkpoint_of_that_spool_is_saved,
    a_stop_whose_last_ack_gets_lost_can_be_tried_again,
    nothing_goes_to_a_new_file_before_a_checkpoint_says_so,
    a_checkpoint_that_can_not_be_read_is_not_lost,
    a_line_behind_a_strangers_is_not_written_twice,
    a_removal_cut_short_leaves_a_spool_that_opens,
    a_checkpoint_on_the_way_over_a_gap_is_right,
    a_half_line_found_in_the_file_is_acked,
    who_said_it_is_known_after_kills,
    what_another_spool_said_is_forgotten,
]
