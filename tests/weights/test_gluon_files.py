"""Gluon's parameter files are read as MXNet writes them, in every version of the format, and written as it reads."""

import struct

import numpy as np
import pytest
from mxnet import nd

from gluon_madapt.errors import UserError
from gluon_madapt.weights.gluon_files import NoParameterFileError, checksum_of, read_arrays, write_arrays

TYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64")


def some_arrays():
    rng = np.random.default_rng(0)
    return {f"layer.{kind}": (10 * rng.random((2, 3, 1, 5))).astype(kind) for kind in TYPES}


def assert_same(found, expected):
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype
        np.testing.assert_array_equal(found[key], value)


def test_what_mxnet_writes_is_read(tmp_path):
    path, arrays = tmp_path / "a.params", some_arrays()
    nd.save(str(path), {key: nd.array(value, dtype=value.dtype) for key, value in arrays.items()})
    assert_same(read_arrays(path), arrays)


def test_what_is_written_mxnet_reads(tmp_path):
    path, arrays = tmp_path / "a.params", some_arrays()
    write_arrays(path, arrays)
    assert_same({key: value.asnumpy() for key, value in nd.load(str(path)).items()}, arrays)
    assert_same(read_arrays(path), arrays)


def test_it_is_written_byte_for_byte_as_mxnet_does(tmp_path):
    arrays = {"a": np.arange(6, dtype="f4").reshape(2, 3)}
    write_arrays(tmp_path / "ours", arrays)
    nd.save(str(tmp_path / "theirs"), {"a": nd.array(arrays["a"])})
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def file_of(header):
    """Return a file of one array, float32 values 0 to 5, called x, that begins with ``header``."""
    body = header + struct.pack("<iii", 1, 0, 0) + np.arange(6, dtype="<f4").tobytes()
    return struct.pack("<QQQ", 0x112, 0, 1) + body + struct.pack("<QQ", 1, 1) + b"x"


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("<III", 2, 2, 3),
        struct.pack("<Iiqq", 0xF993FAC8, 2, 2, 3),
        struct.pack("<Iiiqq", 0xF993FAC9, 0, 2, 2, 3),
        struct.pack("<Iiiqq", 0xF993FACA, 0, 2, 2, 3),
    ],
    ids=["before V1", "V1", "V2", "V3"],
)
def test_every_version_of_the_format(tmp_path, header):
    path = tmp_path / "a.params"
    path.write_bytes(file_of(header))
    expected = {"x": np.arange(6, dtype="f4").reshape(2, 3)}
    assert_same(read_arrays(path), expected)
    if header[:4] != struct.pack("<I", 0xF993FACA):  # which MXNet reads under its NumPy semantics alone
        assert_same({key: value.asnumpy() for key, value in nd.load(str(path)).items()}, expected)


def test_a_file_that_was_altered_after_it_was_written_is_refused(tmp_path):
    path = tmp_path / "a.params"
    write_arrays(path, some_arrays())
    whole = bytearray(path.read_bytes())
    whole[-200] ^= 1
    path.write_bytes(whole)
    with pytest.raises((UserError, NoParameterFileError)):
        read_arrays(path)
    path.write_bytes(bytes(whole[:100]) + bytes([whole[100] ^ 1]) + bytes(whole[101:]))
    with pytest.raises((UserError, NoParameterFileError)):
        read_arrays(path)


def test_the_checksum_is_one_that_sha256sum_reads(tmp_path):
    path = tmp_path / "a b.params"
    write_arrays(path, some_arrays())
    digest, name = checksum_of(path).read_text().split(maxsplit=1)
    assert len(digest) == 64
    assert name == "a b.params\n"


def test_arrays_without_names_and_names_twice(tmp_path):
    path = tmp_path / "a.params"
    nd.save(str(path), [nd.ones((2,))])
    with pytest.raises(NoParameterFileError, match="1 arrays and 0 names"):
        read_arrays(path)
