"""What is imported is declared."""

import ast
import runpy
import sys

import pytest
import setuptools
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Packages that are imported by another name than their own.
PACKAGES = {"cv2": "opencv-python", "PIL": "pillow", "yaml": "pyyaml"}
# It makes files that tests read, and is run by hand.
BY_HAND = {"torchvision"}


@pytest.fixture(scope="module")
def declared():
    """A function from names of extras to what they and the package itself require."""
    options = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", lambda **given: options.update(given))
        runpy.run_path(str(ROOT / "setup.py"))

    def of(*extras):
        lines = [*options["install_requires"], *(line for one in extras for line in options["extras_require"][one])]
        return {canonicalize_name(Requirement(line).name) for line in lines}

    return of


def imported(folder):
    """Return the packages that the files of a folder import, anywhere in them, and a file that does."""
    own = {path.stem for path in folder.glob("*.py")} | {path.stem for path in (ROOT / "tests").rglob("*.py")}
    own.add("gluon_madapt")
    found = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in (name.split(".")[0] for name in names):
                if name not in sys.stdlib_module_names and name not in own:
                    found[canonicalize_name(PACKAGES.get(name, name))] = path.relative_to(ROOT)
    return found


@pytest.mark.skipif(not hasattr(sys, "stdlib_module_names"), reason="Python 3.10 knows its own modules")
@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("gluon_madapt", ("cpu", "onnx", "openvino", "tensorboard", "convert", "convert-pth")),
        ("tools", ("cpu", "onnx")),
        ("benchmarks", ("cpu", "convert-pth")),
        ("tests", ("cpu", "dev", "convert-pth")),
    ],
)
def test_every_import_is_of_a_declared_package(declared, folder, extras):
    missing = {name: path for name, path in imported(ROOT / folder).items() if name not in declared(*extras)}
    assert set(missing) - BY_HAND == set(), missing
