"""Finds the package for a tool, in the checkout if need be; what the package misses ends the tool with one line."""

import sys
from pathlib import Path

# Last, and so only for a Python that it is not installed in.
sys.path.append(str(Path(__file__).resolve().parent.parent))

try:
    import gluon_madapt  # noqa: F401
except ImportError as error:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    sys.exit(2)
