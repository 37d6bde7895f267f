"""Hand recordings to NATS JetStream, and take them from there. Imports `recordings`, `look`, the engine."""
