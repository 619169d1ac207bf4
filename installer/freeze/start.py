"""What the frozen build starts: the program itself, under its own name."""

import sys

from hivemind_worker.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
