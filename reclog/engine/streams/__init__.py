"""What carries the bytes of one sender. Imports `system`."""
