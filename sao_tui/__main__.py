"""`python -m sao_tui`: the same as `sao-tui`."""

import sys

from sao_tui.cli import main

if __name__ == "__main__":
    sys.exit(main())
