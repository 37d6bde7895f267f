"""What the engine asks of the system: loop, files, processes, kernel. Imports only `errors`."""
