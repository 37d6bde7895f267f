"""Start, stop and stay with a recording on this machine. Imports `recordings` and the engine."""
