"""Imports run one way: the order of the packages, and no circle among the modules of one."""

import ast

import pytest
from conftest import ROOT

# From the bottom up: a package imports those of lines above its own.
LAYERS = (
    ("errors", "labels", "run_layout"),
    ("formats", "names", "precision"),
    ("config", "files", "system"),
    ("data", "models", "proxies", "upsampling"),
    ("miniworld", "weights"),
    ("training",),
    ("runs",),
    ("evaluation",),
    ("proxy_maps",),
    ("stages",),
    ("prediction", "export", "doctor"),
    ("reproduction",),
    ("report",),
    ("device_check",),
    ("cli",),
)
RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names}
PACKAGE = ROOT / "gluon_madapt"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).replace(".__init__", ""): path
    for path in PACKAGE.rglob("*.py")
}


def imported(path):
    """Yield the modules of the package that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gluon_madapt"):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("gluon_madapt"))


def home(module):
    """Return the package, or the module at the top, that a module is of."""
    return (module.split(".") + [""])[1]


def test_every_module_has_a_place_in_the_order():
    assert {home(module) for module in MODULES} - {""} == set(RANKS)


@pytest.mark.parametrize("module", [module for module in MODULES if home(module)])
def test_no_import_runs_up(module):
    for other in imported(MODULES[module]):
        if home(other) and home(other) != home(module):
            assert RANKS[home(other)] < RANKS[home(module)], f"{module} imports {other}"


def test_no_modules_import_each_other():
    # A package's __init__ imports its modules, which may import from it again: what counts is module against module.
    graph = {
        name: {one for one in imported(path) if one in MODULES and MODULES[one].name != "__init__.py"}
        for name, path in MODULES.items()
        if path.name != "__init__.py"
    }
    graphlib = pytest.importorskip("graphlib", reason="Python 3.9 and later have it")
    graphlib.TopologicalSorter(graph).prepare()
