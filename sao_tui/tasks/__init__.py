"""Jobs that need no torch: `python -m sao_tui.tasks JOB` does one, watched over by the supervisor like any other."""
