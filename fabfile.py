"""The tasks of `fab`: record through a tremplin, stop what runs there."""

from invoke.collection import Collection

from reclog.tasks import config_file, edge, tremplin

ns = Collection(tremplin.tremplin, tremplin.kill_there)
ns.configure(config_file.KNOWN)
edge.check_fab(ns, __file__)
