"""The tasks of `fab`: none yet; recording through a tremplin will live here."""

from invoke.collection import Collection

ns = Collection()
