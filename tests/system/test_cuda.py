"""Finding CUDA's libraries, and telling what a GPU is; with stand-ins for both, since there may be no GPU."""

import ctypes

import pytest

from gluon_madapt.errors import UserError
from gluon_madapt.system import cuda


class Driver:
    """What libcuda answers about GPUs of some compute capability."""

    def __init__(self, major, minor):
        self._answers = {75: major, 76: minor}

    def cuInit(self, flags):  # noqa: N802 - as the driver names it
        return 0

    def cuDeviceGet(self, device, index):  # noqa: N802
        device._obj.value = index
        return 0

    def cuDeviceGetAttribute(self, value, attribute, device):  # noqa: N802
        assert device.value == 1
        value._obj.value = self._answers[attribute]
        return 0


@pytest.mark.parametrize("capability", [(5, 0), (5, 2), (6, 1), (7, 0), (7, 5), (8, 0), (8, 6), (8, 9)])
def test_gpus_that_mxnet_holds_code_for_are_taken(monkeypatch, capability):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(*capability))
    assert cuda.compute_capability(1) == capability
    cuda.refuse_unknown_gpu(1)


@pytest.mark.parametrize("capability", [(3, 7), (9, 0), (10, 0), (12, 0)])
def test_other_gpus_are_refused_with_the_reason(monkeypatch, capability):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(*capability))
    number = ".".join(map(str, capability))
    with pytest.raises(UserError, match=rf"gpu\(1\) has compute capability {number}, .* 5.0 to 8.9 alone"):
        cuda.refuse_unknown_gpu(1)


def test_a_driver_that_does_not_answer_is_no_reason_to_refuse(monkeypatch):
    driver = Driver(9, 0)
    driver.cuInit = lambda flags: 100
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    assert cuda.compute_capability(1) is None
    cuda.refuse_unknown_gpu(1)


@pytest.fixture
def packages(monkeypatch, tmp_path):
    """An environment with MXNet's CUDA build and its libraries; return the names of those that are loaded."""
    for place, name in enumerate((*cuda.LIBRARIES, "libnvblas.so.11")):
        path = tmp_path / "nvidia" / f"package{place}" / "lib" / name
        path.parent.mkdir(parents=True)
        path.touch()
    loaded = []
    monkeypatch.setattr(cuda.metadata, "distribution", lambda name: object())
    monkeypatch.setattr(cuda.sysconfig, "get_paths", lambda: {"purelib": str(tmp_path)})
    monkeypatch.setattr(ctypes, "CDLL", lambda path: loaded.append(path.rsplit("/", 1)[-1]))
    return loaded


def test_the_libraries_that_mxnet_links_are_loaded_in_their_order_and_no_others(packages):
    cuda.load_libraries()
    assert packages == list(cuda.LIBRARIES)


def test_without_the_cuda_build_nothing_is_loaded(packages, monkeypatch):
    def missing(name):
        raise cuda.metadata.PackageNotFoundError

    monkeypatch.setattr(cuda.metadata, "distribution", missing)
    cuda.load_libraries()
    cuda.refuse_missing_driver()
    assert packages == []


def test_a_missing_driver_is_one_line(packages, monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(UserError, match=r"no NVIDIA driver \(libcuda.so.1\) .*EXTRAS=cpu,dev make setup"):
        cuda.refuse_missing_driver()
