"""Stores what one pass of the networks gives for every target image; proxies of any p1 and p2 are made from it.

An image's file holds the class scores before the last upsampling and the maps of the discriminators: a few megabytes.
It carries the hash of all that the pass was made from, so that maps can be made on several machines and put together,
and none of another checkpoint goes unnoticed.
"""

import hashlib
import json
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, TextIO, Tuple

import numpy as np

from gluon_madapt.data.fingerprints import in_older_form, is_same
from gluon_madapt.errors import UserError
from gluon_madapt.evaluation.adabn import under_current_name, under_former_name
from gluon_madapt.files.archives import DamagedArchiveError, read_archive, write_archive
from gluon_madapt.files.atomic import PARTIAL, write_atomically
from gluon_madapt.files.json_files import read_json, write_json
from gluon_madapt.files.locks import LockFileError, lock_file
from gluon_madapt.names import NAME_BYTES, check_lengths, shortened
from gluon_madapt.run_layout import INPUTS
from gluon_madapt.runs.ownership import is_cache, move_aside, refuse_other_cache
from gluon_madapt.system.provenance import code_version

_FORMAT = 3
_NO_LOGITS = np.empty((0, 0, 0), dtype=np.float32)


class StoredMaps(NamedTuple):
    """What is kept of an image.

    Attributes
    ----------
    size : tuple of int
        Its (height, width).
    discriminators : list of np.ndarray
        For each discriminator the probability of "source", (h', w') float32.
    logits : np.ndarray
        Class scores at a quarter of the network's input, (L, h, w) float32; (0, 0, 0) where they were not asked for.
    """

    size: Tuple[int, int]
    discriminators: List[np.ndarray]
    logits: np.ndarray


@dataclass(frozen=True)
class Shard:
    """Part ``index``, from 1, of ``count`` into which the images are divided."""

    index: int = 1
    count: int = 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


class MapCache:
    """A folder of stored maps.

    Parameters
    ----------
    folder : Path
        Where they lie.
    names : sequence of str
        Of the images, in their order.
    made_from : dict
        All that decides what the maps hold: JSON values by name; "discriminators" lists those that there are.

    Attributes
    ----------
    discriminators : list of str
        Their names.
    """

    def __init__(self, folder: Path, names: Sequence[str], made_from: Dict[str, Any]):
        self.folder = folder
        self.made_from = dict(made_from, format=_FORMAT)
        self.discriminators: List[str] = made_from["discriminators"]
        self.identity = _identity(self.made_from)
        self._mark = bytes.fromhex(self.identity)
        forms = [self.made_from, in_older_form(self.made_from)]
        forms += [under_former_name(form) for form in forms]
        self._marks = {bytes.fromhex(_identity(form)) for form in forms}
        self.names = list(names)
        self._files = [_file(folder, name) for name in self.names]

    def __len__(self) -> int:
        return len(self._files)

    def check_lengths(self) -> None:
        """Raise a `UserError` for the first file whose name the file system does not take."""
        check_lengths(self.folder, (str(path.relative_to(self.folder)) for path in self._files))

    def missing(self, shard: Shard) -> List[int]:
        """Return the places of the images of a shard that there are no maps of yet."""
        return [index for index in self.places(shard) if not self._files[index].exists()]

    def places(self, shard: Shard) -> range:
        """Return the places of the images of a shard."""
        return range(shard.index - 1, len(self), shard.count)

    @property
    def complete(self) -> bool:
        """Whether there are maps of all images, made from these inputs."""
        return not self.missing(Shard()) and not self._differing()

    def state(self) -> str:
        """Return a text that changes when the file of any image does, told by its size and time."""
        facts = [(path.stat().st_size, path.stat().st_mtime_ns) for path in self._files if path.exists()]
        return f"{len(facts)} files, {hashlib.sha256(repr(facts).encode()).hexdigest()}"

    def versions(self) -> List[str]:
        """Return the versions of the code that made the maps."""
        return list(dict.fromkeys(self._read(index, ())["code"].tobytes().decode() for index in range(len(self))))

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep others from moving the folder aside; where nothing can be written, nobody can."""
        with ExitStack() as locks:
            with suppress(LockFileError):
                locks.enter_context(self._lock(shared=True))
            yield

    @contextmanager
    def writing(self, shard: Shard, fresh: bool = False, restart: bool = False) -> Iterator[None]:
        """Claim the folder for the maps of a shard.

        What it holds of other inputs is moved aside if ``fresh``, or an error; if ``restart``, all of it is.  Waits
        while other processes read or write it, but for other shards, which may write side by side.

        Raises
        ------
        UserError
            If it holds maps of other inputs or anything else, cannot be written, or another process is at work on the
            same shard.
        """
        with self._lock(shared=shard.count > 1):
            if shard.count > 1:
                busy = f"{self.folder}: another process is at work on the same shard: wait for it, or stop it"
                with lock_file(self._lock_path(f".{shard.index}-of-{shard.count}"), "--cache", busy):
                    with self._lock(".claim"):  # one shard at a time
                        self._claim()
                    yield
            else:
                self._claim(fresh, restart)
                for partial in self.folder.rglob(f"*{PARTIAL}"):  # of processes that were killed
                    if partial.is_file():  # an image's folder may end so
                        partial.unlink()
                yield

    def write(self, index: int, maps: StoredMaps, shard: Shard) -> None:
        """Store the maps of an image, whole or not at all."""
        arrays = {
            "logits": maps.logits,
            "size": np.array(maps.size),
            **dict(zip(self.discriminators, maps.discriminators)),
        }
        with write_atomically(self._files[index], f".{shard.index}-of-{shard.count}") as file:
            code = np.frombuffer(code_version().encode(), np.uint8)
            facts = {"made_from": np.frombuffer(self._mark, np.uint8), "image": self._image(index), "code": code}
            write_archive(file, {**facts, **arrays})

    def _image(self, index: int) -> np.ndarray:
        return np.frombuffer(self.names[index].encode(errors="surrogateescape"), np.uint8)

    def read(self, index: int, logits: bool = True) -> StoredMaps:
        """Read the maps of an image, without the class scores if ``logits`` is false.

        Raises
        ------
        UserError
            If the file is missing, damaged, or made from other inputs.
        """
        stored = self._read(index, ("size", *self.discriminators, *["logits"] * logits))
        height, width = stored["size"].tolist()
        discriminators = [stored[name] for name in self.discriminators]
        return StoredMaps((height, width), discriminators, stored.get("logits", _NO_LOGITS))

    def _read(self, index: int, names: Sequence[str]) -> Dict[str, np.ndarray]:
        path = self._files[index]
        try:
            every = read_archive(path, lambda name: name in ("made_from", "image", "code", *names))
            stored = {name: every[name] for name in ("made_from", "code", *names)}
            image = every.get("image", self._image(index))  # which was once not written down
        except (DamagedArchiveError, KeyError) as error:
            raise UserError(f"{path}: is missing or damaged ({error}): delete it, and make the proxies again") from None
        if stored["made_from"].tobytes() not in self._marks:
            raise UserError(
                f"{path}: was made from another checkpoint, other images or other settings than the rest of "
                f"{self.folder}: delete it, and make the proxies again"
            )
        if not np.array_equal(image, self._image(index)):
            raise UserError(f"{path}: holds the maps of another image: delete it, and make the proxies again")
        return stored

    def _differing(self) -> List[str]:
        """Return in what the maps that are there were made from something else; nothing if there are none."""
        record = self.folder / INPUTS
        try:
            before = under_current_name(read_json(record)) if record.exists() else self.made_from
        except UserError:
            return [f"origin ({INPUTS} cannot be read)"]
        return [key for key in {**self.made_from, **before} if not is_same(before.get(key), self.made_from.get(key))]

    def _claim(self, fresh: bool = False, restart: bool = False) -> None:
        refuse_other_cache(self.folder)
        differing = self._differing()
        if differing and not fresh:
            raise UserError(
                f"{self.folder}: holds the network's maps of another {' and '.join(differing)}: "
                "give --fresh to move them aside, or another --cache"
            )
        if (differing or restart) and is_cache(self.folder):
            move_aside(self.folder)
        self.record()

    def record(self) -> None:
        """Write down what the maps are made from, or, where that is there in an older form, write it anew."""
        record = self.folder / INPUTS
        if not record.exists() or read_json(record) != self.made_from:
            write_json(record, self.made_from)

    def _lock(self, suffix: str = "", shared: bool = False) -> TextIO:
        busy = f"{self.folder}: waits for another process that is at work there"
        return lock_file(self._lock_path(suffix), "--cache", busy, shared=shared, wait=True)

    def _lock_path(self, suffix: str) -> Path:
        return self.folder.parent / f".{self.folder.name}{suffix}.lock"


def _identity(made_from: Dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def _file(folder: Path, name: str) -> Path:
    """Return where the maps of an image lie: a name that would be too long, with the suffix added, becomes a hash."""
    path = folder / name
    return path.with_name(shortened(path.name, ".npz", NAME_BYTES))
