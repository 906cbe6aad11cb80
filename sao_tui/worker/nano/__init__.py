"""Training of the nano model: SAO-small's exact config shape in a few megabytes."""
