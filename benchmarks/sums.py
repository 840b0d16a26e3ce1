"""A worker that sums ResNet101's gradients a few times: launch.py ... -- python benchmarks/sums.py REPEATS.

Prints, in the first worker, a line of JSON: parameters, bytes a sum sends and receives, seconds of each sum.
"""

import json
import sys

import gluon_madapt  # noqa: F401 - first

import mxnet as mx  # isort: skip
from mxnet import nd  # isort: skip

from gluon_madapt.models import Segmenter
from gluon_madapt.runs.networks import initialize_segmenter
from gluon_madapt.training.exchange import Exchange


def main(repeats):
    net = Segmenter("resnet101", 19)
    initialize_segmenter(net, [mx.cpu()])
    params = {name: param for name, param in net.collect_params().items() if param.grad_req != "null"}
    exchange = Exchange(mx.kv.create("dist_sync"))
    nd.waitall()
    exchange.broadcast({name: param.data().asnumpy() for name, param in params.items()})
    seconds = []
    for _ in range(repeats + 1):
        exchange.begin(measure=True)
        exchange.sum({name: param.list_grad() for name, param in params.items()})
        seconds.append(round(exchange.cost.communicating, 3))
    if exchange.rank == 0:
        numbers = sum(param.data().size for param in params.values())
        print(json.dumps({"parameters": numbers, "bytes": exchange.cost.sent, "seconds": seconds[1:]}), flush=True)
    exchange.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
