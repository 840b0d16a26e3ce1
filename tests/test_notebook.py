"""The notebook: it is whole and holds no results, and the commands in it are ones that there are."""

import json
import re
import subprocess
import sys

import pytest
from conftest import ROOT

NOTEBOOK = json.loads((ROOT / "notebooks" / "first_gpu.ipynb").read_text(encoding="utf-8"))
CODE = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_it_is_a_notebook_without_results():
    assert NOTEBOOK["nbformat"] == 4
    assert NOTEBOOK["metadata"]["kernelspec"]["name"] == "python3"
    names = [cell["id"] for cell in NOTEBOOK["cells"]]
    assert len(set(names)) == len(names)
    for cell in NOTEBOOK["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None), cell["id"]


@pytest.mark.parametrize("tool", ["tools/check_gpu.py", "tools/demo.py"])
def test_its_commands_are_tools_with_those_flags(tool):
    (cell,) = [source for source in CODE if f".venv/bin/python {tool} " in source]
    usage = subprocess.run([sys.executable, tool, "--help"], capture_output=True, text=True, check=True, cwd=ROOT)
    assert set(re.findall(r"--[\w-]+", cell)) <= set(re.findall(r"--[\w-]+", usage.stdout))


def test_it_makes_the_environment_as_everybody_does():
    assert sum("make setup" in source for source in CODE) == 1
    assert not any("pip install" in source for source in CODE)
