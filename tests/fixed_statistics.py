"""Batch norm in inference mode: python tests/fixed_statistics.py TOOL ARGUMENT ... runs a tool with it.

With statistics of its batch, a part of an iteration gives another gradient than the whole: batch norm is what makes
training on several devices or workers differ from training on one.
"""

import functools
import runpy
import sys
from pathlib import Path

from gluon_madapt.models.fusion import nn

FIXED = functools.partialmethod(nn.BatchNorm.__init__, use_global_stats=True)

if __name__ == "__main__":
    nn.BatchNorm.__init__ = FIXED
    tool = Path(sys.argv[1])
    sys.argv = sys.argv[1:]
    sys.path.insert(0, str(tool.parent))
    sys.path.insert(0, str(tool.parent))
    runpy.run_path(str(tool), run_name="__main__")
