"""One truth about a host; survey it, start, prove and stop a relay. Imports `recordings`, `look`, engine."""
