"""The five screens, in the order of the work; each is imported when it is first shown."""
