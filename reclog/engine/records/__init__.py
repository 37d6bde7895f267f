"""What a daemon says of itself on disk: events, counters, state. Imports `system`."""
