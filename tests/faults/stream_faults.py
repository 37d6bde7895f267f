"""What is done to a recording that is published, to the servers on its way, and to its copy."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable

import psutil
from bench import wait_until
from cluster import Node
from rotation_faults import rotation_faults
from stage import Fault, Stage
from streamed import Streamed

#: Those with whom bytes may go that senders take for delivered.
HOLD = {"recorder", "relay"}
#: Seconds for what was held up to go on, and a leader to be elected.
WITHIN = 30.0


def streamed(stage: Stage) -> Streamed:
    assert isinstance(stage.system, Streamed)
    return stage.system


def _any_node(stage: Stage) -> list[Node]:
    return [stage.dice.choice(streamed(stage).nodes)]


def _leader(stage: Stage) -> list[Node]:
    nodes = streamed(stage).nodes
    found: Node = wait_until(lambda: next((n for n in nodes if n.leads()), None), WITHIN, "there is a leader")
    return [found]


def _two(stage: Stage) -> list[Node]:
    return stage.dice.sample(streamed(stage).nodes, 2)


def _all(stage: Stage) -> list[Node]:
    return list(streamed(stage).nodes)


def ended(which: Callable[[Stage], list[Node]], number: signal.Signals) -> Fault:
    """Return the fault that ends servers by a signal, and starts them again after a while."""

    def fault(stage: Stage) -> None:
        nodes = which(stage)
        for node in nodes:
            node.end(number)
        stage.pause(0.2, 1.0)
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait()

    return fault


def one_after_the_other(stage: Stage) -> None:
    """Start each of the servers anew, as an upgrade does."""
    for node in streamed(stage).nodes:
        node.end(signal.SIGTERM)
        node.start().wait()


def node_frozen(stage: Stage) -> None:
    (node,) = _any_node(stage)
    _frozen(stage, psutil.Process(node.pid))


def node_cut_off(stage: Stage) -> None:
    (node,) = stage.dice.choice((_any_node, _leader))(stage)
    with node.cut_off():
        stage.pause(0.5, 3.0)


def node_full(stage: Stage) -> None:
    """Fill a server's disk: it ends its JetStream, and its operator makes room and starts it anew."""
    (node,) = _leader(stage)
    assert node.disk is not None
    node.disk.fill(0)
    stage.pause(0.5, 1.5)
    node.disk.make_room()
    node.end(signal.SIGTERM)
    node.start().wait()


def killed(*roles: str) -> Fault:
    """Return the fault that kills processes of ours, and starts them again as their user does."""

    def fault(stage: Stage) -> None:
        with stage.losing() if {*roles} & HOLD else contextlib.nullcontext():
            for role in roles:
                stage.hit(stage.the(role), signal.SIGKILL)
        stage.pause(0.0, 0.5)
        for role in roles:
            streamed(stage).begin_again(role)

    return fault


def killed_again_and_again(stage: Stage) -> None:
    for _ in range(3):
        stage.hit(stage.the("subscriber"), signal.SIGKILL)
        streamed(stage).subscribe_again()
        stage.busy(stage.dice.random() * 0.5)


def killed_at(point: str) -> Fault:
    """Return the fault that kills the subscriber at a fault point."""

    def fault(stage: Stage) -> None:
        system, victim = streamed(stage), stage.the("subscriber")
        reached = system.arm(point, "kill")
        wait_until(lambda: reached.exists() and not victim.is_running(), 20, f"{point} is reached")
        system.subscribe_again()

    return fault


def stopped(role: str) -> Fault:
    """Return the fault that stops a daemon as its user does, and starts it again."""

    def fault(stage: Stage) -> None:
        system = streamed(stage)
        done = system.home.inv("kill", system.folder_of(role).name)
        assert done.returncode == 0, done.stderr
        stage.pause(0.0, 0.5)
        system.again()

    return fault


def frozen(role: str) -> Fault:
    """Return the fault that has a daemon do nothing for a while."""

    def fault(stage: Stage) -> None:
        records = role not in ("publisher", "subscriber")
        _frozen(stage, stage.the(role), streamed(stage).stands_still if records else lambda: None)

    return fault


def _frozen(stage: Stage, process: psutil.Process, meanwhile: Callable[[], None] = lambda: None) -> None:
    process.suspend()
    try:
        meanwhile()
        stage.pause(0.5, 2.0)
    finally:
        process.resume()


def copies_full(stage: Stage) -> None:
    """Fill the disk that the copy is on."""
    disk = streamed(stage).copy_disk
    assert disk is not None
    disk.fill(0)
    stage.pause(0.5, 1.0)
    disk.make_room()


FAULTS: dict[str, Fault] = {
    "a node killed": ended(_any_node, signal.SIGKILL),
    "the leader killed": ended(_leader, signal.SIGKILL),
    "two nodes killed": ended(_two, signal.SIGKILL),
    "all nodes killed": ended(_all, signal.SIGKILL),
    "each node started anew": one_after_the_other,
    "a node frozen": node_frozen,
    "a node cut off": node_cut_off,
    "a node's disk full": node_full,
    "publisher killed": killed("publisher"),
    "subscriber killed": killed("subscriber"),
    "subscriber killed again and again": killed_again_and_again,
    "publisher and subscriber killed": killed("publisher", "subscriber"),
    "publisher stopped": stopped("publisher"),
    "subscriber stopped": stopped("subscriber"),
    "publisher frozen": frozen("publisher"),
    "subscriber frozen": frozen("subscriber"),
    "the copy's disk full": copies_full,
    **{
        f"subscriber killed at {point}": killed_at(point)
        for point in (
            "file.after-write",
            "checkpoint.json.before-replace",
            "checkpoint.json.after-replace",
            "position.json.before-replace",
            "position.json.after-replace",
        )
    },
}


def faults_of(*recording: str) -> dict[str, Fault]:
    """Return them all, where so many processes record; the last of them writes the file."""
    return {
        **FAULTS,
        **{f"{role} killed, published": killed(role) for role in recording},
        f"publisher and {recording[-1]} killed": killed("publisher", recording[-1]),
        f"{recording[-1]} frozen, published": frozen(recording[-1]),
        **rotation_faults(recording[-1], lambda stage, point: streamed(stage).arm_recorded(point)),
    }


ON_A_LAN, THROUGH_A_TREMPLIN = faults_of("recorder"), faults_of("ssh", "relay", "collector")
