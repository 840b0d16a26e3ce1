"""What is read from files of PyTorch and of safetensors: tensors by name, and nothing that a pickle carries."""

import os
import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from gluon_madapt.errors import UserError
from gluon_madapt.weights.torch_files import read_torch_file


@pytest.mark.parametrize("content", [b"", b"text", bytes(100), b"\xff" * 100])
def test_a_file_that_is_no_safetensors_file_is_refused(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.safetensors: is no complete safetensors file"):
        read_torch_file(tmp_path / "x.safetensors")


def test_bfloat16_is_refused_where_numpy_lacks_it(tmp_path):
    header = b'{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(UserError, match=r"x\.safetensors: is no complete safetensors file of plain floats"):
        read_torch_file(tmp_path / "x.safetensors")


def test_what_cannot_be_read_says_what_would_help(tmp_path, monkeypatch):
    for name in ("x.pth", "x.safetensors", "x.h5"):
        (tmp_path / name).write_bytes(b"text")
    with pytest.raises(UserError, match=r"none\.pth: no such file: see pretrained/README\.md"):
        read_torch_file(tmp_path / "none.pth")
    with pytest.raises(UserError, match=r"x\.h5: expected .*\.safetensors, \.pth, \.pt"):
        read_torch_file(tmp_path / "x.h5")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError, match=r"pip install .* -e '\.\[convert-pth\]', or name a \.safetensors file"):
        read_torch_file(tmp_path / "x.pth")
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(__version__="2.5.1+cpu"))
    with pytest.raises(UserError, match=r"PyTorch 2\.5\.1\+cpu .*CVE-2025-32434"):
        read_torch_file(tmp_path / "x.pth")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(UserError, match=r"pip install .* -e '\.\[convert\]'"):
        read_torch_file(tmp_path / "x.safetensors")


class Touch:
    """Makes a file when it is unpickled by a careless reader."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("form", ["zip", "legacy", "bare pickle", "bare pickle of protocol 4"])
def test_nothing_that_a_pickle_carries_is_executed(tmp_path, form):
    torch = pytest.importorskip("torch")
    path, touched = tmp_path / "x.pth", tmp_path / "touched"
    content = {"conv1.weight": Touch(touched)}
    if form.startswith("bare"):
        path.write_bytes(pickle.dumps(content, protocol=4 if form.endswith("4") else 2))
    else:
        torch.save(content, str(path), _use_new_zipfile_serialization=form == "zip")
    refusal = r"x\.pth: (would execute \S*system, and is refused|is no complete file)"
    with pytest.raises(UserError, match=refusal) as caught:
        read_torch_file(path)
    assert "\n" not in str(caught.value)
    assert not touched.exists()
    if form == "zip":
        torch.load(str(path), weights_only=False)
        assert touched.exists(), "the file would have done harm"


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04" + bytes(100)])
def test_a_file_that_is_no_file_of_pytorch_is_refused(tmp_path, content):
    pytest.importorskip("torch")
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.pth: is no complete file of PyTorch weights"):
        read_torch_file(tmp_path / "x.pth")


def test_only_tensors_by_name_are_taken(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "x.pth"
    half = torch.tensor([0.1]).to(torch.bfloat16)
    torch.save({"a": half, "b": torch.nn.Parameter(torch.ones(1))}, str(path))
    found = read_torch_file(path)
    np.testing.assert_array_equal(found["a"], half.float().numpy())
    np.testing.assert_array_equal(found["b"], [1])
    for content in ({"epoch": 3, "model": {}}, [torch.ones(1)], {}):
        torch.save(content, str(path))
        with pytest.raises(UserError, match=r"expected tensors by name"):
            read_torch_file(path)
