"""A network in bfloat16 returns nearly what it does in float32, or float32 is used."""

import numpy as np
import pytest
from compiled_networks import SIZES, images_of, new_network, set_statistics
from mxnet import nd, sym

from gluon_madapt import precision
from gluon_madapt.errors import UserError
from gluon_madapt.models import bfloat16
from gluon_madapt.models.folding import fold_batch_norms
from gluon_madapt.models.segmenter import QuarterScores
from gluon_madapt.models.sized_graph import sized_scores

ENCODERS = ["small", "resnet101", pytest.param("vgg16", marks=pytest.mark.slow)]
with_instructions = pytest.mark.skipif(not precision.has_bfloat16(), reason="no instructions for bfloat16")


def run_symbol(graph, values, images):
    arrays = {key: nd.array(value) for key, value in values.items()}
    statistics = {key: arrays.pop(key) for key in graph.list_auxiliary_states()}
    bound = graph.bind(images.context, {**arrays, "image": images}, grad_req="null", aux_states=statistics)
    return [one.asnumpy() for one in bound.forward(is_train=False)]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_graph_without_batch_norms_returns_what_the_network_does(encoder):
    net, images = new_network(encoder), images_of((64, 96))
    graph = sym.Group(sized_scores(net, sym.var("image", shape=images.shape)))
    values = {param.name: param.data().asnumpy() for param in net.collect_params().values()}
    before = {key: value.copy() for key, value in values.items()}
    folded, fewer = fold_batch_norms(graph, values)
    number, left = (one.tojson().count('"op": "BatchNorm"') for one in (graph, folded))
    assert left == 4, "those that follow a sum"
    assert number > 4 or encoder == "vgg16"
    assert all(np.array_equal(before[key], values[key]) for key in before)
    for found, expected in zip(run_symbol(folded, fewer, images), QuarterScores(net)(images)):
        np.testing.assert_allclose(found, expected.asnumpy(), atol=1e-5 * np.ptp(expected.asnumpy()))


def test_a_convolution_that_others_read_too_keeps_its_batch_norm():
    maps = sym.Convolution(sym.var("image"), kernel=(1, 1), num_filter=2, no_bias=True, name="conv")
    graph = sym.BatchNorm(maps, fix_gamma=False, name="norm") + maps
    shapes = {"conv_weight": (2, 3, 1, 1), **{f"norm_{one}": (2,) for one in ("gamma", "beta")}}
    shapes.update(norm_moving_mean=(2,), norm_moving_var=(2,))
    rng = np.random.default_rng(0)
    values = {key: rng.uniform(0.5, 2, shape).astype("f4") for key, shape in shapes.items()}
    folded, same = fold_batch_norms(graph, values)
    assert same.keys() == values.keys()
    images = images_of((4, 4))
    np.testing.assert_array_equal(run_symbol(folded, same, images), run_symbol(graph, values, images))


@pytest.mark.parametrize(("bias", "fixed"), [(False, False), (True, False), (False, True), (True, True)])
def test_a_folded_convolution_has_the_batch_norms_scale_and_shift(bias, fixed):
    maps = sym.Convolution(sym.var("image"), kernel=(3, 3), num_filter=4, no_bias=not bias, name="conv")
    graph = sym.BatchNorm(maps, fix_gamma=fixed, eps=0.1, name="norm")
    shapes = dict(zip(graph.list_arguments(), graph.infer_shape(image=(1, 3, 8, 8))[0]))
    shapes.update(zip(graph.list_auxiliary_states(), graph.infer_shape(image=(1, 3, 8, 8))[2]))
    rng = np.random.default_rng(1)
    values = {key: rng.uniform(0.5, 2, shape).astype("f4") for key, shape in shapes.items() if key != "image"}
    folded, fewer = fold_batch_norms(graph, values)
    assert "BatchNorm" not in folded.tojson()
    images = images_of((8, 8))
    np.testing.assert_allclose(
        run_symbol(folded, fewer, images), run_symbol(graph, values, images), rtol=1e-5, atol=1e-5
    )


@with_instructions
@pytest.mark.parametrize("encoder", ENCODERS)
def test_bfloat16_is_near_float32_at_every_size(encoder, monkeypatch):
    monkeypatch.setattr(precision, "AGREEMENT", 0)
    net = new_network(encoder)
    plain = QuarterScores(net)
    net.compile_for_inference("bfloat16")
    for place, size in enumerate(SIZES):
        images = images_of(size, seed=place)
        for found, expected in zip(net.quarter(images), plain(images)):
            assert found.dtype == np.float32
            difference = np.abs(found.asnumpy() - expected.asnumpy()).max() / np.ptp(expected.asnumpy())
            assert 1e-4 < difference < 0.02, "rounded to 8 bits"
    assert net.quarter.precision == "bfloat16"


@with_instructions
def test_what_an_image_gets_depends_on_no_other_image_and_a_few_sizes_are_kept(monkeypatch):
    monkeypatch.setattr(precision, "AGREEMENT", 0)
    net, compiled, compile_one = new_network(), [], bfloat16._compile
    monkeypatch.setattr(bfloat16, "_compile", lambda *given: compiled.append(1) or compile_one(*given))
    for kept, expected in ((1, 3), (2, 2)):
        net.compile_for_inference("bfloat16", kept)
        compiled.clear()
        alone = [net.quarter(images_of(size))[0].asnumpy() for size in SIZES[1:]]
        assert len(compiled) == expected
        np.testing.assert_array_equal(alone[0], alone[2])


@with_instructions
def test_statistics_of_now_are_used(monkeypatch):
    monkeypatch.setattr(precision, "AGREEMENT", 0)
    net, images = new_network(), images_of((64, 96))
    net.compile_for_inference("bfloat16")
    before = net.quarter(images)[0].asnumpy()
    set_statistics(net, seed=1)
    net.compile_for_inference("bfloat16")
    assert np.abs(net.quarter(images)[0].asnumpy() - before).max() > 0.01


@with_instructions
def test_where_labels_differ_float32_is_used_with_a_warning(monkeypatch, caplog):
    monkeypatch.setattr(precision, "AGREEMENT", 1.001)
    net, images = new_network(), images_of((64, 96))
    net.compile_for_inference()
    expected = net.quarter(images)[0].asnumpy()
    net.compile_for_inference("bfloat16")
    for _ in range(2):
        np.testing.assert_array_equal(net.quarter(images)[0].asnumpy(), expected)
    assert net.quarter.precision == "float32"
    (line,) = caplog.messages
    assert "float32 is used" in line


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        ("fpu sse2 avx512f avx512_bf16 fsrm", True),
        ("fpu amx_bf16 amx_tile", True),
        ("fpu avx2 avx512f avx512_vnni", False),
        ("fpu not_amx_bf16x", False),
        (None, False),
    ],
)
def test_a_processor_without_instructions_is_refused(flags, found, tmp_path, monkeypatch):
    described = tmp_path / "cpuinfo"
    if flags:
        described.write_text(f"model name : any\nflags : {flags}\n")
    monkeypatch.setattr(precision, "_DESCRIPTION", described)
    assert precision.has_bfloat16() == found
    precision.refuse_precision("float32")
    if not found:
        with pytest.raises(UserError, match="precision bfloat16: this processor has no instructions"):
            precision.refuse_precision("bfloat16")


def test_a_gpu_is_refused():
    with pytest.raises(UserError, match=r"is for processors, and the networks are on gpu\(1\)"):
        precision.refuse_precision("bfloat16", "gpu(1)")
