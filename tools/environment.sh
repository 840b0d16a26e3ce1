#!/usr/bin/env bash
# Make .venv, with everything that the project and its tests need, or leave it alone if it is up to date.
# VENV=folder makes it there; PYTHON=/path/to/python chooses the interpreter; EXTRAS=gpu,dev takes MXNet's CUDA build.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
# Without EXTRAS, an environment that was made with other ones keeps them.
extras=${EXTRAS:-$(sed 's/.*:://' "$venv"/made-for 2>/dev/null || true)}
extras=${extras:-cpu,dev}

fail() {
    echo "error: $*" >&2
    exit 2
}

usable() {
    "$1" -c 'import ensurepip, runpy, sys, venv
sys.exit(runpy.run_path("gluon_madapt/system/supported.py")["wrong_with_python"]() != "")' 2>/dev/null
}

find_python() {
    local candidate wanted="expected 3.8 to 3.12, 64 bits, with the modules venv and ensurepip"
    wanted+=" (which Debian and Ubuntu have in python3-venv)"
    for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3.10 python3.12 python3.9 python3.8 python3 python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python; do
        if command -v "$candidate" >/dev/null && usable "$candidate"; then
            command -v "$candidate"
            return
        fi
        if [ -n "${PYTHON:-}" ]; then
            fail "PYTHON=$PYTHON is no usable Python: $wanted"
        fi
    done
    fail "no usable Python found, only $(python3 --version 2>/dev/null || echo none): $wanted; install one, by pyenv" \
        "or conda where the system has none, and name it with PYTHON=/path/to/python"
}

wanted=$(cat setup.py constraints.txt tools/environment.sh | cksum | tr ' ' '-')::$extras
if [ -x "$venv"/bin/python ] && [ "$(cat "$venv"/made-for 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

python=$(find_python)
"$python" gluon_madapt/system/supported.py || exit 2
echo "setting up $venv with $python (once; a few hundred megabytes)" >&2
"$python" -m venv --clear "$venv" || fail "$python -m venv failed"
"$venv"/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$extras]" ||
    fail "pip could not install the packages of setup.py (see above): is a package index within reach?"
# GluonCV asks for opencv-python, which links the system's libGL; the headless build of the same release does not.
if ! "$venv"/bin/python -c 'import cv2' 2>/dev/null; then
    "$venv"/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps \
        --force-reinstall opencv-python-headless || fail "pip could not install opencv-python-headless (see above)"
fi
modules="gluon_madapt, mxnet, gluoncv"
# An image is built where there is no driver, and without one MXNet's CUDA build does not import.
if ! "$venv"/bin/python -c 'from gluon_madapt.system import cuda; cuda.refuse_missing_driver()' 2>/dev/null; then
    modules=gluon_madapt
    echo "notice: no NVIDIA driver here: whether MXNet's CUDA build imports was not tried" >&2
fi
"$venv"/bin/python -c "import $modules" || fail "the packages are installed but do not import (see above)"
echo "$wanted" >"$venv"/made-for
