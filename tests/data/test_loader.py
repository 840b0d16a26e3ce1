import tracemalloc

import numpy as np
import pytest
from conftest import opened
from PIL import Image

from gluon_madapt.config import Input
from gluon_madapt.data import Loader
from gluon_madapt.errors import UserError

AUGMENTED = Input(scale=(0.7, 1.3), crop=(32, 32))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    for index in range(7):
        pixels = np.random.default_rng(index).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{index}.png")
    return opened("folder", root, "train")


def loader(dataset, settings=AUGMENTED, seed=1, stream="s", threads=1, batch_size=3):
    return Loader(dataset, settings, batch_size=batch_size, seed=seed, stream=stream, labelled=False, threads=threads)


def same(a, b):
    return a.names == b.names and np.array_equal(a.images, b.images)


def test_a_batch_is_a_function_of_seed_stream_and_iteration(folder):
    straight = list(loader(folder).batches(0, 8))
    assert [same(a, b) for a, b in zip(straight, loader(folder, threads=4).batches(0, 8))] == [True] * 8
    assert [same(a, b) for a, b in zip(straight[5:], loader(folder).batches(5, 8))] == [True] * 3
    assert not same(straight[0], next(loader(folder, seed=2).batches(0, 1)))
    assert not same(straight[0], next(loader(folder, stream="other").batches(0, 1)))


def test_every_epoch_sees_each_sample_once_in_another_order(folder):
    names = [name for batch in loader(folder).batches(0, 14) for name in batch.names]
    epochs = [names[start : start + 7] for start in range(0, 42, 7)]
    assert all(len(set(epoch)) == 7 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_a_sample_is_augmented_anew_each_time(folder):
    batches = list(loader(folder, batch_size=7).batches(0, 2))
    by_name = [dict(zip(batch.names, batch.images)) for batch in batches]
    assert any(not np.array_equal(by_name[0][name], by_name[1][name]) for name in by_name[0])


def test_sizes_that_cannot_be_one_batch_are_an_error(folder):
    with pytest.raises(UserError, match="differ in size"):
        list(loader(folder, Input(scale=(0.5, 1.5)), batch_size=7).batches(0, 1))


def test_an_error_of_a_thread_reaches_the_caller(folder, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    broken = opened("folder", tmp_path, "train")
    with pytest.raises(UserError, match=r"a\.png"):
        list(loader(broken).batches(0, 3))


def test_a_billion_iterations_take_no_more_memory_than_ten(folder):
    def peak(iterations):
        tracemalloc.start()
        batches = Loader(
            folder, AUGMENTED, batch_size=1, seed=1, stream="s", labelled=False, batches_per_iteration=2
        ).iterations(0, iterations)
        found = [[batch.names for batch in next(batches)] for _ in range(10)]
        batches.close()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return found, peak

    few, small = peak(10)
    many, large = peak(10**9)
    assert many == few
    assert large < small + 100_000
