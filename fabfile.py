"""The tasks of `fab`: record through a tremplin, stop what runs there."""

from reclog.program import fab_namespace

ns = fab_namespace(__file__)
