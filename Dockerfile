# The project with all that it needs, for the CPU; with --build-arg EXTRAS=gpu, for NVIDIA's GPUs.
# CUDA 11 and cuDNN 8 come from PyPI beside MXNet's CUDA build (setup.py), and the driver from the host: so one base
# does for both. Debian 12 brings Python 3.11.
FROM debian:bookworm-slim

# Security updates are wanted, and Debian drops older releases of a package: no versions here.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 libquadmath0 python3-venv \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /gluon_madapt
# What the installation reads comes first: a change of anything else does not repeat it.
COPY setup.py pyproject.toml constraints.txt README.md ./
COPY tools/environment.sh tools/
COPY gluon_madapt gluon_madapt
ARG EXTRAS=cpu
RUN PIP_NO_CACHE_DIR=1 tools/environment.sh
COPY . .

RUN useradd --create-home --uid 1000 user \
    && mkdir -p data runs \
    && chown user data runs pretrained
USER 1000
VOLUME ["/gluon_madapt/data", "/gluon_madapt/runs", "/gluon_madapt/pretrained"]

# Without capabilities named, NVIDIA's runtime brings nvidia-smi and no CUDA driver; its own images name these, too.
ENV PATH=/gluon_madapt/.venv/bin:$PATH NVIDIA_DRIVER_CAPABILITIES=compute,utility
CMD ["python", "tools/demo.py"]
