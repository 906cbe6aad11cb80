"""Pure data and file formats, shared by dashboard, supervisor and worker; no torch, no textual."""
