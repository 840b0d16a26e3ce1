"""Checkpoints: everything that a training needs to go on, in one file that is written whole or not at all.

A checkpoint is an uncompressed NumPy archive: arrays under "NETWORK/KEY" (keys as in Gluon's own parameter files) and
"optimizer/TRAINER/KEY/I", and a JSON text under "meta".  The archive carries a checksum of each array, and nothing in
it is ever unpickled.
"""

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Set

import numpy as np
from mxnet import nd
from mxnet.gluon import HybridBlock, Trainer

from gluon_madapt.atomic import write_atomically
from gluon_madapt.errors import UserError

FORMAT = 1
# What reading a NumPy archive raises when its bytes were altered: a RuntimeError, or zlib's, if what changed is a flag
# for encryption or the kind of compression, neither of which is ever used here.
DAMAGED_ARCHIVE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile)


class Checkpoint(NamedTuple):
    """``arrays`` are parameters and optimiser states; ``meta`` says of what.

    Its keys are stage, iteration, iterations, encoder, classes, seed, code (the versions behind it)
    and arrays (their number).
    """

    meta: Dict[str, Any]
    arrays: Dict[str, np.ndarray]

    def has(self, network: str) -> bool:
        """Tell whether the checkpoint holds a network of that name."""
        return any(key.startswith(network + "/") for key in self.arrays)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all."""
    meta = json.dumps(dict(checkpoint.meta, format=FORMAT, arrays=len(checkpoint.arrays)), sort_keys=True)
    with write_atomically(path) as file:
        np.savez(file, meta=np.frombuffer(meta.encode(), dtype=np.uint8), **checkpoint.arrays)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises
    ------
    UserError
        If the file is missing, is no checkpoint, or was cut off or altered.
    """
    arrays = _read_arrays(path, lambda key: True)
    meta = _parse_meta(path, arrays)
    if meta.get("arrays") != len(arrays):  # an altered directory can hide whole entries, each of which is intact
        raise UserError(f"{path}: is no complete checkpoint: it holds {len(arrays)} arrays of {meta.get('arrays')}")
    return Checkpoint(meta, arrays)


def read_meta(path: Path) -> Dict[str, Any]:
    """Read what a checkpoint says of itself, and none of its parameters; errors as in `read_checkpoint`."""
    return _parse_meta(path, _read_arrays(path, lambda key: key == "meta"))


def stored_networks(path: Path) -> Set[str]:
    """Return the names of the networks in a checkpoint; none for a file of another kind."""
    if not zipfile.is_zipfile(path):
        return set()
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except DAMAGED_ARCHIVE as error:
        raise UserError(f"{path}: is no complete checkpoint of this project ({error})") from None
    return {name.split("/")[0] for name in names if "/" in name} - {"optimizer"}


def versions_behind(path: Path) -> List[str]:
    """Return the versions of the code behind a checkpoint; none for a file of another kind."""
    return read_meta(path).get("code", []) if zipfile.is_zipfile(path) else []


def _read_arrays(path: Path, wanted: Callable[[str], bool]) -> Dict[str, np.ndarray]:
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path}: is no complete checkpoint of this project (no archive)")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files if wanted(key)}
    except DAMAGED_ARCHIVE as error:
        raise UserError(f"{path}: is no complete checkpoint of this project ({error})") from None


def _parse_meta(path: Path, arrays: Dict[str, np.ndarray]) -> Dict[str, Any]:
    try:
        meta = json.loads(arrays.pop("meta").tobytes().decode())
        version = meta["format"]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: is no checkpoint of this project (it does not say of what)") from None
    if version != FORMAT:
        raise UserError(f"{path}: is a checkpoint of format {version}: expected {FORMAT}")
    return meta


def parameter_values(network: HybridBlock) -> Dict[str, np.ndarray]:
    """Return the parameters of a network, running statistics included, by their keys.

    Waits for all that MXNet was asked for.  A convolution that still runs lays its weights out anew when it is done,
    and MXNet's own reading of an array does not wait for that: it reads values while they move, or crashes.

    Where devices have running statistics of their own, those of the first are returned.
    """
    nd.waitall()
    return {key: param.list_data()[0].asnumpy() for key, param in network._collect_params_with_prefix().items()}


def network_arrays(name: str, network: HybridBlock) -> Dict[str, np.ndarray]:
    """Return the parameters of a network, running statistics included, as arrays for a checkpoint."""
    return {f"{name}/{key}": value for key, value in parameter_values(network).items()}


def load_network(checkpoint: Checkpoint, name: str, network: HybridBlock, where: Path) -> None:
    """Load a network from a checkpoint; every parameter must be there, with its shape."""
    prefix = name + "/"
    stored = {key[len(prefix) :]: value for key, value in checkpoint.arrays.items() if key.startswith(prefix)}
    params = network._collect_params_with_prefix()
    if set(stored) != set(params):
        differing = sorted(set(stored) ^ set(params))
        raise UserError(f"{where}: holds another {name} than this experiment's ({differing[0]} is in one of them only)")
    for key, param in params.items():
        if stored[key].shape != param.shape:
            raise UserError(f"{where}: {name}/{key} has shape {stored[key].shape}, this experiment's has {param.shape}")
        param.set_data(nd.array(stored[key]))


def trainer_arrays(name: str, trainer: Trainer, keys: Dict[str, str]) -> Dict[str, np.ndarray]:
    """Return the optimiser's states as arrays; ``keys`` maps names of parameters to their keys in the network."""
    nd.waitall()
    states = trainer._updaters[0].states
    arrays = {}
    for index, param in enumerate(trainer._params):
        for place, state in enumerate(_as_tuple(states.get(index))):
            arrays[f"optimizer/{name}/{keys[param.name]}/{place}"] = state.asnumpy()
    return arrays


def load_trainer(checkpoint: Checkpoint, name: str, trainer: Trainer, keys: Dict[str, str]) -> None:
    """Give the optimiser the states that `trainer_arrays` stored; `Trainer.load_states` would unpickle its file."""
    for index, param in enumerate(trainer._params):
        if param.grad_req == "null":  # running statistics, which no optimiser touches
            continue
        for updater, weight in zip(trainer._updaters, param.list_data()):  # one for each device
            created = updater.optimizer.create_state_multi_precision(index, weight)
            for place, state in enumerate(_as_tuple(created)):
                state[:] = nd.array(checkpoint.arrays[f"optimizer/{name}/{keys[param.name]}/{place}"])
            updater.states[index] = created
            updater.states_synced[index] = True


def _as_tuple(state) -> tuple:
    if state is None:
        return ()
    return tuple(state) if isinstance(state, (tuple, list)) else (state,)
