"""Tells whether this process is one of several that train together, as MXNet's key-value store is told.

Asked before MXNet is imported, which takes seconds.
"""

import os


def is_one_of_several() -> bool:
    """Tell whether the process is a worker of a distributed training (DMLC_ROLE)."""
    return os.environ.get("DMLC_ROLE") == "worker"
