"""``model.weights: zoo``, without ever reaching for the real one."""

import hashlib
import logging
import socket
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import mxnet as mx
import pytest
from gluoncv.model_zoo import model_store, resnetv1b
from mxnet import nd

from gluon_madapt.errors import UserError
from gluon_madapt.files.hashing import sha256
from gluon_madapt.labels import class_set
from gluon_madapt.stages.retrain import _initial_segmenter
from gluon_madapt.weights import zoo

NAME = "resnet101_v1b-a455932a"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """An empty folder to work in, and a zoo's server that nobody runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MXNET_HOME", raising=False)
    monkeypatch.setenv("MXNET_GLUON_REPO", "http://127.0.0.1:9/")
    return tmp_path


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A zoo that offers one small file under ResNet101's name; returns what is in it."""
    monkeypatch.setitem(model_store._model_sha1, "resnet101_v1b", "a455932a" + hashlib.sha1(b"weights").hexdigest()[8:])
    shop = tmp_path / "server" / "gluon" / "models"
    shop.mkdir(parents=True)
    with zipfile.ZipFile(shop / f"{NAME}.zip", "w") as archive:
        archive.writestr(f"{NAME}.params", b"weights")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "server"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        monkeypatch.setenv("MXNET_GLUON_REPO", f"http://127.0.0.1:{served.server_port}")
        yield b"weights"
        served.shutdown()


def test_a_name_is_that_of_a_file(tmp_path):
    (tmp_path / "mine.params").write_bytes(b"")
    assert zoo.imagenet_file("resnet101", str(tmp_path / "mine.params")) == tmp_path / "mine.params"
    with pytest.raises(UserError, match=r"model\.weights = no\.params: no such file: see pretrained/README\.md"):
        zoo.imagenet_file("resnet101", "no.params")


@pytest.mark.parametrize(("encoder", "name"), [("resnet101", NAME), ("vgg16", "vgg16-e660d456")])
def test_without_a_network_the_error_says_which_file_goes_where(encoder, name):
    with pytest.raises(UserError) as caught:
        zoo.imagenet_file(encoder, "zoo")
    for part in (f"http://127.0.0.1:9/gluon/models/{name}.zip", "ConnectionError", f"put {name}.params", "pretrained/"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(zoo, "_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MXNET_GLUON_REPO", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        with pytest.raises(UserError, match="cannot be fetched"):
            zoo.imagenet_file("resnet101", "zoo")


def test_a_file_that_differs_from_the_zoos_is_refused(server, tmp_path):
    with pytest.raises(UserError, match="cannot be fetched"):
        zoo.imagenet_file("resnet101", "zoo")  # the server's content does not have the hash that GluonCV expects


def test_a_fetched_file_is_kept(server, tmp_path, monkeypatch):
    digest = hashlib.sha1(server).hexdigest()
    monkeypatch.setitem(model_store._model_sha1, "resnet101_v1b", digest)
    served = tmp_path / "server" / "gluon" / "models"
    with zipfile.ZipFile(served / f"resnet101_v1b-{digest[:8]}.zip", "w") as archive:
        archive.writestr(f"resnet101_v1b-{digest[:8]}.params", server)
    path = zoo.imagenet_file("resnet101", "zoo")
    assert path.as_posix() == f"pretrained/resnet101_v1b-{digest[:8]}.params"
    assert path.read_bytes() == server
    monkeypatch.setenv("MXNET_GLUON_REPO", "http://127.0.0.1:9/")
    assert zoo.imagenet_file("resnet101", "zoo") == path, "no network is needed for a file that is there"


def test_no_zoo_has_weights_for_the_small_encoder():
    with pytest.raises(UserError, match=r"model\.weights = zoo: there are no ImageNet weights for encoder small"):
        zoo.imagenet_file("small", "zoo")


def test_stage_4_starts_from_the_zoo_and_records_the_hash(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    network = resnetv1b.resnet101_v1b()
    network.initialize()
    network(nd.zeros((1, 3, 64, 64)))

    def fetched(name, root):
        (tmp_path / root).mkdir()
        network.save_parameters(f"{root}/{name}.params")
        return f"{root}/{name}.params"

    monkeypatch.setattr(zoo.requests, "head", lambda url, timeout: None)
    monkeypatch.setattr(model_store, "get_model_file", fetched)
    experiment = SimpleNamespace(
        seed=1,
        retrain=SimpleNamespace(init="imagenet"),
        model=SimpleNamespace(encoder="resnet101", weights="zoo", sync_bn=False),
    )
    net, start = _initial_segmenter(
        SimpleNamespace(
            experiment=experiment,
            number=1,
            classes=class_set(19),
            start_from=None,
            context=mx.cpu(),
            contexts=[mx.cpu()],
        )
    )
    assert start == sha256(tmp_path / "pretrained" / "resnet101_v1b.params")
    assert f"520 tensors loaded from pretrained/resnet101_v1b.params (SHA-256 {start})" in caplog.text
    assert (net.conv1.weight.data() == network.conv1.weight.data()).asnumpy().all()
