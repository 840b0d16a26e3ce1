"""Reads and writes checkpoints: all that a training needs to go on, in one file, written whole or not at all.

A checkpoint is an uncompressed NumPy archive: arrays under "NETWORK/KEY" (keys as in Gluon's own parameter files) and
"optimizer/TRAINER/KEY/I", and a JSON text under "meta".  It ends, as the archive's comment, with the SHA-256 of all
bytes before, and nothing in it is ever unpickled.
"""

import json
import os
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Set, Tuple, Union

import numpy as np
from mxnet import nd
from mxnet.gluon import HybridBlock, Trainer

from gluon_madapt.errors import UserError
from gluon_madapt.files import archives
from gluon_madapt.files.archives import DamagedArchiveError, array_names, read_archive, write_archive
from gluon_madapt.files.atomic import PARTIAL, replace_atomically
from gluon_madapt.files.json_files import json_text

FORMAT = 2
# Format 1 has no digest of the file, only the archive's own checksum of each array.
_OLDEST_FORMAT = 1


class Checkpoint(NamedTuple):
    """A training's state: ``arrays`` are parameters and optimiser states, ``meta`` describes them.

    The keys of ``meta`` are iteration, iterations, code (the versions behind it), arrays (their number), and those of
    `gluon_madapt.runs.trained.description_of`.
    """

    meta: Dict[str, Any]
    arrays: Dict[str, np.ndarray]

    def has(self, network: str) -> bool:
        """Tell whether the checkpoint holds a network of that name."""
        return any(key.startswith(network + "/") for key in self.arrays)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all; the file that was at ``path`` becomes `previous_checkpoint`.

    The new file is read back and verified before it takes that place.

    Raises
    ------
    UserError
        If it cannot be written, or what is read back is not what was written.
    """
    meta = json_text(dict(checkpoint.meta, format=FORMAT, arrays=len(checkpoint.arrays)), sort_keys=True)
    with replace_atomically(path) as partial:
        with partial.open("wb") as file:
            write_archive(file, {"meta": np.frombuffer(meta.encode(), dtype=np.uint8), **checkpoint.arrays})
        if read_meta(partial)["iteration"] != checkpoint.meta["iteration"]:
            raise UserError(f"{partial}: what was read back is not what was written: is the disk failing?")
        if path.exists() and is_intact(path):
            _keep(path, previous_checkpoint(path))


def previous_checkpoint(path: Path) -> Path:
    """Return where the checkpoint lies that was written before that at ``path``."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def _keep(path: Path, previous: Path) -> None:
    """Let ``previous`` name the file at ``path``, too, which stays there until it is replaced."""
    link = previous.with_name(previous.name + PARTIAL)
    link.unlink(missing_ok=True)
    try:
        os.link(path, link)
    except OSError:  # a file system without hard links: for a moment there is the previous one alone
        path.replace(previous)
        return
    link.replace(previous)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises
    ------
    UserError
        If the file is missing, is no checkpoint, or was cut off or altered.
    """
    arrays = _read_arrays(path, lambda key: True)
    meta = _parse_meta(path, arrays)
    _verify(path, meta)
    if meta.get("arrays") != len(arrays):  # an altered directory can hide whole entries, each of which is intact
        raise UserError(f"{path}: is no complete checkpoint: it holds {len(arrays)} arrays of {meta.get('arrays')}")
    return Checkpoint(meta, arrays)


def read_meta(path: Path) -> Dict[str, Any]:
    """Read what a checkpoint says of itself, and none of its parameters; errors as in `read_checkpoint`."""
    meta = _parse_meta(path, _read_arrays(path, lambda key: key == "meta"))
    _verify(path, meta)
    return meta


def stored_networks(path: Path) -> Set[str]:
    """Return the names of the networks in a checkpoint; none for a file of another kind."""
    if not zipfile.is_zipfile(path):
        return set()
    try:
        names = array_names(path)
    except DamagedArchiveError as error:
        raise UserError(f"{path}: is no complete checkpoint of this project ({error})") from None
    return {name.split("/")[0] for name in names if "/" in name} - {"optimizer"}


def versions_behind(path: Path) -> List[str]:
    """Return the versions of the code behind a checkpoint; none for a file of another kind."""
    return read_meta(path).get("code", []) if zipfile.is_zipfile(path) else []


def _read_arrays(path: Path, wanted: Callable[[str], bool]) -> Dict[str, np.ndarray]:
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint")
    try:
        return read_archive(path, wanted, verified=False)  # `_verify` is told whether there is a digest
    except DamagedArchiveError as error:
        raise UserError(f"{path}: is no complete checkpoint of this project ({error})") from None


def _parse_meta(path: Path, arrays: Dict[str, np.ndarray]) -> Dict[str, Any]:
    try:
        meta = json.loads(arrays.pop("meta").tobytes().decode())
        version = int(meta["format"])
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: is no checkpoint of this project (it does not say of what)") from None
    if not _OLDEST_FORMAT <= version <= FORMAT:
        raise UserError(f"{path}: is a checkpoint of format {version}: expected {_OLDEST_FORMAT} to {FORMAT}")
    return meta


def _verify(path: Path, meta: Dict[str, Any]) -> None:
    """Refuse a file of which a byte is not what was written."""
    if meta["format"] == _OLDEST_FORMAT:
        return
    if not is_intact(path):
        raise UserError(f"{path}: is no complete checkpoint: it was altered after it was written")


def is_intact(path: Path) -> bool:
    """Tell whether a file is, byte for byte, a checkpoint that was written; none of before format 2 is known to be.

    Raises
    ------
    UserError
        If it cannot be read.
    """
    try:
        return archives.is_intact(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def parameter_values(network: HybridBlock) -> Dict[str, np.ndarray]:
    """Return the parameters of a network, running statistics included, by their keys.

    Waits for all pending operations of MXNet.  A convolution lays its weights out anew when it is done, and MXNet's own
    reading of an array does not wait for that: it reads values while they move, or crashes.

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


def load_trainer(checkpoint: Checkpoint, name: str, trainer: Trainer, keys: Dict[str, str], where: Path) -> None:
    """Give the optimiser the states that `trainer_arrays` stored; `Trainer.load_states` would unpickle its file."""
    for index, param in enumerate(trainer._params):
        if param.grad_req == "null":  # running statistics, which no optimiser touches
            continue
        for updater, weight in zip(trainer._updaters, param.list_data()):  # one for each device
            created = updater.optimizer.create_state_multi_precision(index, weight)
            for place, state in enumerate(_as_tuple(created)):
                key = f"optimizer/{name}/{keys[param.name]}/{place}"
                stored = checkpoint.arrays.get(key)
                if stored is None or stored.shape != state.shape:
                    raise UserError(f"{where}: holds no {key} of shape {state.shape}: it cannot be gone on from")
                state[:] = nd.array(stored)
            updater.states[index] = created
            updater.states_synced[index] = True


def _as_tuple(state: Union[None, nd.NDArray, Sequence[nd.NDArray]]) -> Tuple[nd.NDArray, ...]:
    if state is None:
        return ()
    return tuple(state) if isinstance(state, (tuple, list)) else (state,)
