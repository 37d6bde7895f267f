"""The tasks of `inv`: record on this machine, stop, prove, show, follow."""

from reclog.program import namespace

ns = namespace(__file__)
