"""Unsupervised domain-adaptive segmentation with multi-adversarial training and regularised proxies, in MXNet/Gluon."""

import os

from gluon_madapt.system import supported

supported.refuse_unsupported()

import numpy  # noqa: E402 - which may be missing

from gluon_madapt.system import cuda  # noqa: E402
from gluon_madapt.system.environment import clean_environment  # noqa: E402
from gluon_madapt.system.later import put_off_scipy_stats  # noqa: E402
from gluon_madapt.system.threads import cores  # noqa: E402
from gluon_madapt.system.workers import serve_until_workers_end  # noqa: E402

__version__ = "0.1.0"

# MXNet 1.9 reads numpy.bool while it is imported; NumPy dropped that alias in 1.24.
vars(numpy)["bool"] = bool
put_off_scipy_stats()
serve_until_workers_end()
clean_environment()
# Read by MXNet while it is imported, too; without it, half of the processors may idle.
THREADS_CHOSEN = "OMP_NUM_THREADS" in os.environ
os.environ.setdefault("OMP_NUM_THREADS", str(cores()))
# Read by OpenCV while it is imported: a small file may claim to be a huge image.  16384x8192.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 27))
# What is compiled for each size of images is kept by MXNet without a limit, and by oneDNN for 1024 pieces.  These hold
# all that a stage 2 of three sizes needs, and keep images of hundreds of sizes near what the largest one takes.
os.environ.setdefault("MXNET_MKLDNN_CACHE_NUM", "128")
os.environ.setdefault("DNNL_PRIMITIVE_CACHE_CAPACITY", "512")
# Or MXNet says on the screen that it fuses operators.
os.environ.setdefault("MXNET_SUBGRAPH_VERBOSE", "0")
# Linked by MXNet's CUDA build, which is not told where pip has put them.
cuda.load_libraries()
supported.refuse_missing_libraries()
