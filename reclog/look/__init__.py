"""Show, follow and prove recordings. Imports `recordings`, `tremplin` and the engine."""
