"""One truth about a host; survey it, place, start and stop a relay there. May import all but tasks."""
