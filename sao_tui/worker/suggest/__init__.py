"""Jobs that suggest captions: one module a captioner, and the loop that runs one over clips."""
