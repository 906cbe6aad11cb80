"""Players: ways to make a file heard, each in a child process of its own."""
