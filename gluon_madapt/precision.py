"""Names the precisions that a network can run in, and tells where they are of use."""

import logging
import math
import re
from pathlib import Path

import numpy as np

from gluon_madapt.errors import UserError

_log = logging.getLogger(__name__)

FLOAT32, BFLOAT16 = PRECISIONS = ("float32", "bfloat16")
# The share of the first image's labels that has to be as in float32.
AGREEMENT = 0.99
_DESCRIPTION = Path("/proc/cpuinfo")
# As Linux calls the instructions that oneDNN multiplies bfloat16 with.
_INSTRUCTIONS = re.compile(r"\b(avx512_bf16|amx_bf16)\b")


def refuse_precision(precision: str, device: str = "cpu(0)") -> None:
    """Refuse bfloat16 where it would be emulated, slower than float32.

    Parameters
    ----------
    precision : str
        "float32" or "bfloat16".
    device : str
        The device of the network.

    Raises
    ------
    UserError
        If the processor has no instructions for it, or the network is on a GPU.
    """
    if precision == FLOAT32:
        return
    if not device.startswith("cpu"):
        raise UserError(f"precision {precision}: is for processors, and the networks are on {device}: use float32")
    if not has_bfloat16():
        raise UserError(
            f"precision {precision}: this processor has no instructions for it (avx512_bf16 or amx_bf16): use float32"
        )


def has_bfloat16() -> bool:
    """Tell whether the processor has instructions for bfloat16; False where it does not say."""
    try:
        return bool(_INSTRUCTIONS.search(_DESCRIPTION.read_text()))
    except OSError:
        return False


def is_near(expected: np.ndarray, found: np.ndarray) -> bool:
    """Tell whether the labels of the first image in bfloat16 are near enough to those in float32; warn if they are not.

    Parameters
    ----------
    expected, found : np.ndarray
        Labels in float32 and in bfloat16, of one shape.
    """
    same = float((expected == found).mean())
    if same < AGREEMENT:
        _log.warning(
            "bfloat16 gives only %.2f percent of the first image the label that it gets in float32, less than %.0f: "
            "float32 is used",
            math.floor(10000 * same) / 100,
            100 * AGREEMENT,
        )
    return same >= AGREEMENT
