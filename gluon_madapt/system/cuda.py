"""Finds the libraries that MXNet's CUDA build links, and tells whether that build holds code for a GPU."""

import ctypes
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import Optional, Tuple

from gluon_madapt.errors import UserError

PACKAGE = "mxnet-cu112"
# What it links, each after those that it links itself; the nvidia-*-cu11 packages hold them.
LIBRARIES = (
    "libcudart.so.11.0",
    "libcublasLt.so.11",
    "libcublas.so.11",
    "libcudnn.so.8",
    "libcufft.so.10",
    "libcurand.so.10",
    "libcusolver.so.11",
    "libnccl.so.2",
    "libnvrtc.so.11.2",
    "libnvToolsExt.so.1",
)
DRIVER = "libcuda.so.1"

# What mxnet-cu112 1.9.1 holds machine code for: sm_50, 60, 70, 80 and 86, and no PTX to compile more from.  Code for
# one GPU runs on later ones of the same major version.
OLDEST, NEWEST = (5, 0), (8, 9)

# cuDeviceGetAttribute's numbers for the two halves of the compute capability.
_MAJOR, _MINOR = 75, 76


def load_libraries() -> None:
    """Load the CUDA 11 libraries that pip has put beside MXNet's CUDA build, which finds those that are loaded.

    Does nothing where that build is not installed.  A library that pip has not installed is left to the system.
    """
    if not _installed():
        return
    folder = Path(sysconfig.get_paths()["purelib"]) / "nvidia"
    for name in LIBRARIES:
        for path in folder.glob(f"*/lib/{name}"):
            ctypes.CDLL(str(path))


def refuse_missing_driver() -> None:
    """Raise a `UserError` where MXNet's CUDA build is installed and could not be imported, for want of a driver."""
    if not _installed():
        return
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        raise UserError(
            f"{PACKAGE} is installed, and there is no NVIDIA driver ({DRIVER}) for it: "
            "install the driver, or MXNet's CPU build with EXTRAS=cpu,dev make setup"
        ) from None


def _installed() -> bool:
    try:
        metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        return False
    return True


def refuse_unknown_gpu(index: int) -> None:
    """Raise a `UserError` if MXNet holds no code for a GPU; do nothing if the driver does not tell what it is."""
    capability = compute_capability(index)
    if capability and not OLDEST <= capability <= NEWEST:
        raise UserError(
            f"gpu({index}) has compute capability {_dotted(capability)}, and {PACKAGE} holds machine code for "
            f"{_dotted(OLDEST)} to {_dotted(NEWEST)} alone: take another GPU, or set devices to [cpu(0)]"
        )


def compute_capability(index: int) -> Optional[Tuple[int, int]]:
    """Ask the driver for the compute capability of a GPU, as (major, minor); None where it does not tell."""
    try:
        driver = ctypes.CDLL(DRIVER)
    except OSError:
        return None
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    calls = (
        lambda: driver.cuInit(0),
        lambda: driver.cuDeviceGet(ctypes.byref(device), index),
        lambda: driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device),
        lambda: driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device),
    )
    if any(call() != 0 for call in calls):
        return None
    return major.value, minor.value


def _dotted(capability: Tuple[int, int]) -> str:
    return f"{capability[0]}.{capability[1]}"
