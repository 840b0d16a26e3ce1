"""Turns the devices that a config names into MXNet's contexts."""

from typing import List, Sequence, Union

import mxnet as mx

from gluon_madapt.errors import UserError
from gluon_madapt.system import cuda


def contexts_of(devices: Union[str, Sequence[str]]) -> List[mx.Context]:
    """Return the contexts of ``devices``, "auto" or names such as "gpu(0)".

    Raises
    ------
    UserError
        If there is no such GPU, or MXNet holds no code for it.
    """
    gpus = mx.context.num_gpus()
    if devices == "auto":
        devices = ["gpu(0)" if gpus else "cpu(0)"]
    return [_context(device, gpus) for device in devices]


def _context(device: str, gpus: int) -> mx.Context:
    kind, index = device[:3], int(device[4:-1])
    if kind == "cpu":
        return mx.cpu(index)
    if index >= gpus:
        raise UserError(f"devices: {device}: MXNet sees {gpus} GPUs here: expected auto, cpu(0) or a GPU that exists")
    cuda.refuse_unknown_gpu(index)
    return mx.gpu(index)
