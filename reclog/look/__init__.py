"""Show, follow and prove recordings, from their folders and files. Imports `recordings` and the engine."""
