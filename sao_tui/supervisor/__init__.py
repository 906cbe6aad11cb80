"""The detached, torch-free parent of a worker: starts it, watches it, records how it ended."""
