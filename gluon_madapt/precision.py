"""Names the precisions that a network can run in, and tells where they are of use."""

import re
from pathlib import Path

from gluon_madapt.errors import UserError

FLOAT32, BFLOAT16 = PRECISIONS = ("float32", "bfloat16")
_DESCRIPTION = Path("/proc/cpuinfo")
# As Linux calls the instructions that oneDNN multiplies bfloat16 with.
_INSTRUCTIONS = re.compile(r"\b(avx512_bf16|amx_bf16)\b")


def refuse_precision(precision: str, context) -> None:
    """Refuse bfloat16 where it would be emulated, slower than float32.

    Parameters
    ----------
    precision : str
        "float32" or "bfloat16".
    context : mx.Context
        The device of the network.

    Raises
    ------
    UserError
        If the processor has no instructions for it, or the network is on a GPU.
    """
    if precision == FLOAT32:
        return
    if context.device_type != "cpu":
        raise UserError(f"precision {precision}: is for processors, and the networks are on {context}: use float32")
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
