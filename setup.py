"""Packaging: `pip install -c constraints.txt -e '.[cpu,dev]'`, or `.[gpu]` for the CUDA build of MXNet."""

import re
import runpy
import sys
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = re.search(r'__version__ = "(.+)"', (here / "gluon_madapt" / "__init__.py").read_text()).group(1)

# Before pip looks for packages that do not exist, or builds NumPy for minutes, and then names neither reason nor cure.
supported = runpy.run_path(str(here / "gluon_madapt" / "system" / "supported.py"))
problem = supported["wrong_with_python"]() or supported["wrong_with_machine"]()
if problem:
    sys.exit(f"error: {problem}")

ONNX = [
    "onnx<1.19",  # MXNet 1.9 exports by onnx.mapping, which 1.19 dropped
    "onnxruntime",  # runs an export, to compare it with the network
]
OPENVINO = ["openvino>=2024.4"]  # runs an export faster
TENSORBOARD = ["tensorboardX"]  # writes TensorBoard's event files; TensorBoard itself may live anywhere

setup(
    name="gluon_madapt",
    version=version,
    description="Unsupervised domain-adaptive semantic segmentation with multi-adversarial training and proxies",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=("gluon_madapt", "gluon_madapt.*")),
    package_data={
        "gluon_madapt.evaluation": ["published.yaml"],
        "gluon_madapt.report": ["templates/*.html", "templates/*.css"],
    },
    python_requires=">=3.8,<3.13",  # MXNet 1.9 needs NumPy 1, which has no wheels for 3.13
    install_requires=[
        "gluoncv==0.10.5.post0",  # the encoders
        "Jinja2",  # the report's page, with all that comes from data escaped
        "MarkupSafe",  # the report's own style sheet, which Jinja2 is not to escape
        "matplotlib",  # pictures
        "numba",  # upsampling and proxy selection, pixel by pixel
        "numpy<2",  # MXNet 1.9 was built for NumPy 1
        "opencv-python<4.12",  # reads and resizes images; 4.12 asks for NumPy 2
        "packaging",  # the doctor's comparison of versions
        "Pillow",  # reads palette labels, where OpenCV returns colours; writes PNGs
        "portalocker",  # keeps processes out of each other's folders; what GluonCV's downloads may raise
        "pydantic>=2.8,<3",  # checks every setting
        "pyyaml",  # reads experiments
        "requests",  # asks whether GluonCV's model zoo is within reach
        "scipy",  # which GluonCV and MXNet import; loaded when it is wanted
        "setuptools; python_version >= '3.12'",  # its distutils, which MXNet and GluonCV import
        "simplejpeg>=1.7",  # decodes JPEGs, and tells where they are damaged
        "tqdm",  # progress bars
        "typing_extensions",  # Annotated, which Python 3.8 does not have
    ],
    extras_require={
        "cpu": ["mxnet==1.9.1"],  # the last release
        "gpu": [
            "mxnet-cu112==1.9.1",
            # The CUDA 11 libraries that this build of MXNet links.
            "nvidia-cublas-cu11",
            "nvidia-cuda-nvrtc-cu11",
            "nvidia-cuda-runtime-cu11",
            "nvidia-cudnn-cu11<9",
            "nvidia-cufft-cu11",
            "nvidia-curand-cu11",
            "nvidia-cusolver-cu11",
            "nvidia-nccl-cu11",
            "nvidia-nvtx-cu11",
        ],
        "onnx": ONNX,
        "tensorboard": TENSORBOARD,
        "openvino": OPENVINO,
        # What tools/convert_pretrained.py reads.
        "convert": ["safetensors"],
        # PyTorch before 2.6 can be made to execute what a file of weights carries; 2.6 needs Python 3.9.
        "convert-pth": ["torch>=2.6; python_version >= '3.9'"],
        "dev": [
            "cityscapesscripts",  # the official evaluation, which ours is checked against
            "hypothesis",  # properties of the proxy selection
            "mypy",  # types
            *ONNX,
            *OPENVINO,
            *TENSORBOARD,
            "pytest",
            "pytest-xdist",  # both cores for the tests
            "ruff",
            "safetensors",  # files to convert
            "selenium",  # the report in a browser
        ],
    },
)
