"""``python -m benchmarks ...`` is ``ranvier bench ...``."""

from __future__ import annotations

import sys

from ranvier.cli import main

if __name__ == "__main__":
    sys.exit(main(["bench", *sys.argv[1:]]))
