"""Checks whether this Python and this machine can run the package; says in one line what is wrong, and what mends it.

setup.py, tools/environment.sh and the tools ask before anything is installed, so this file needs the standard library
alone, and is read by Pythons that are not supported, too.
"""

import ctypes
import platform
import struct
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec

OLDEST, NEWEST = (3, 8), (3, 12)
_BITS = 64
# What the package has been tried on, of all that MXNet has wheels for.
_SYSTEM, _PROCESSOR = "Linux", "x86_64"
# What the wheels of Numba and SciPy ask for.
_GLIBC = (2, 28)
# What MXNet's wheels link and do not bring, with the packages of Debian and of Fedora that do.
LIBRARIES = {
    "libgomp.so.1": ("libgomp1", "libgomp"),
    "libquadmath.so.0": ("libquadmath0", "libquadmath"),
    "libstdc++.so.6": ("libstdc++6", "libstdc++"),
}
# What is imported of the packages that setup.py asks for.
_MODULES = (
    *("PIL", "cv2", "jinja2", "matplotlib", "numba", "numpy", "packaging", "pydantic"),
    *("requests", "scipy", "simplejpeg", "tqdm", "yaml"),
)
# What an exported model does without: it is missed when it is imported.
_OF_MXNET = ("gluoncv", "mxnet")


class MissingModuleError(ImportError):
    """Says in one line what is missing, and how to get it."""


def refuse_unsupported() -> None:
    """Raise an ImportError if the Python or the machine is not supported, or a package is missing."""
    problem = wrong_with_python() or wrong_with_machine() or _missing_modules(_MODULES)
    if problem:
        raise ImportError(problem)
    sys.meta_path.append(_WithoutMXNet())


def refuse_missing_libraries() -> None:
    """Raise an ImportError if MXNet or OpenCV would miss a library of the system.

    Loads OpenCV and MXNet's OpenMP, which read the environment then.
    """
    has_mxnet = PathFinder.find_spec("mxnet") is not None
    problem = (missing_libraries() if has_mxnet else "") or _wrong_with_opencv()
    if problem:
        raise ImportError(problem)


def wrong_with_python() -> str:
    """Tell in one line why this Python is not supported; return "" if it is."""
    bits = 8 * struct.calcsize("P")
    if OLDEST <= sys.version_info[:2] <= NEWEST and bits == _BITS:
        return ""
    return (
        f"{sys.executable} is Python {platform.python_version()}, {bits} bits: expected {_dotted(OLDEST)} to "
        f"{_dotted(NEWEST)}, 64 bits (MXNet needs NumPy 1, which has no wheels for later ones); make setup looks for "
        "one and makes .venv with it, PYTHON=/path/to/python make setup takes the one that is named"
    )


def wrong_with_machine() -> str:
    """Tell in one line why this operating system, processor or C library is not supported; return "" if it is."""
    system, processor = platform.system(), platform.machine()
    if (system, processor) != (_SYSTEM, _PROCESSOR):
        return (
            f"this is {system} on {processor}: expected {_SYSTEM} on {_PROCESSOR}, where MXNet's wheels were tried; "
            "a virtual machine or a container of that kind will do"
        )
    libc, version = platform.libc_ver()
    if libc != "glibc" or _numbers(version) < _GLIBC:
        return (
            f"the C library of this system is {f'{libc} {version}'.strip() or 'not glibc'}: expected glibc "
            f"{_dotted(_GLIBC)} or later, which the wheels of MXNet, Numba and SciPy are built for, as in Debian 10, "
            "Ubuntu 20.04 or RHEL 8 and all later ones (Alpine has another one)"
        )
    return ""


def missing_libraries() -> str:
    """Tell in one line which libraries of the system MXNet links and would miss; return "" if there are all."""
    missing = [name for name in LIBRARIES if not _loads(name)]
    if not missing:
        return ""
    debian, fedora = (" ".join(LIBRARIES[name][which] for name in missing) for which in (0, 1))
    return (
        f"this system has no {' and no '.join(missing)}, which MXNet links: "
        f"apt-get install {debian} (Debian, Ubuntu), dnf install {fedora} (Fedora, RHEL)"
    )


class _WithoutMXNet:
    """Comes last of what finds modules: it is asked for those that nothing else has found."""

    def find_spec(self, name, path=None, target=None):
        if name in _OF_MXNET:
            raise MissingModuleError(_no_modules([name]))


def _missing_modules(modules) -> str:
    if sys.version_info >= (3, 12):
        modules = (*modules, "setuptools")  # has what was distutils
    return _no_modules([name for name in modules if find_spec(name) is None])


def _no_modules(missing) -> str:
    if not missing:
        return ""
    return (
        f"{sys.executable} has no {', '.join(missing)}: make setup makes .venv with all that is needed, for "
        ".venv/bin/python TOOL; or, in an environment of your own, pip install -c constraints.txt -e '.[cpu]'"
    )


def _wrong_with_opencv() -> str:
    try:
        import cv2  # noqa: F401, PLC0415 - here, since it may fail
    except ImportError as error:
        return (
            f"OpenCV does not import ({' '.join(str(error).split())}): {sys.executable} -m pip install --no-deps "
            "--force-reinstall 'opencv-python-headless<4.12' takes the build that needs no libraries of the system "
            "(make setup does so itself); or apt-get install libgl1 libglib2.0-0"
        )
    return ""


def _loads(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _numbers(version: str) -> tuple:
    return tuple(int(part) for part in version.split(".")[:2])


def _dotted(version: tuple) -> str:
    return ".".join(map(str, version))


if __name__ == "__main__":
    _problem = wrong_with_python() or wrong_with_machine() or missing_libraries()
    if _problem:
        sys.exit(f"error: {_problem}")
