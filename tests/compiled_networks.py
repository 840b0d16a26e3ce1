"""Networks and images for the tests of compiled graphs."""

import mxnet as mx
import numpy as np
from mxnet import nd

from gluon_madapt.models import Segmenter

SIZES = ((64, 96), (64, 96), (32, 64), (64, 96))


def new_network(encoder="small"):
    """A network whose batch norms have statistics to fold."""
    mx.random.seed(1)
    net = Segmenter(encoder, 19)
    net.initialize(mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2))
    net(nd.zeros((1, 3, 64, 64)))
    set_statistics(net, seed=0)
    return net


def set_statistics(net, seed):
    rng = np.random.default_rng(seed)
    for key, param in net._collect_params_with_prefix().items():
        if key.endswith("running_mean"):
            param.set_data(nd.array(rng.normal(0, 0.1, param.shape)))
        if key.endswith("running_var"):
            param.set_data(nd.array(rng.uniform(0.5, 2, param.shape)))
    nd.waitall()  # before anybody reads them


def images_of(size, seed=0):
    return nd.array(np.random.default_rng(seed).normal(size=(1, 3, *size)).astype("f4"))
