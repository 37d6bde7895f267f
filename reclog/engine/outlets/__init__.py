"""What takes the bytes of a store, by offset. Imports `feed`, `stores`, `records`, `system`."""
