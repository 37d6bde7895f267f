"""The tasks of `inv`: record on this machine, show, follow, look back, prove, stop."""

from invoke.collection import Collection

from reclog.tasks import (
    agent,
    boot,
    completion,
    config_file,
    dev,
    edge,
    export,
    history,
    kill,
    local,
    probe,
    publish,
    status,
    subscribe,
    tail,
    view,
)

ns = Collection(
    local.local,
    status.status,
    tail.tail,
    view.view,
    export.export,
    agent.agent,
    history.history,
    probe.prove,
    publish.publish,
    subscribe.subscribe,
    kill.kill,
    boot.boot,
    completion.completion,
    Collection("dev", dev.bench, dev.docs, dev.faults, dev.install, dev.nats, dev.plan),
)
ns.configure(config_file.KNOWN)
edge.check_inv(ns, __file__)
