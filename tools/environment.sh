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
    "$1" -c 'import ensurepip, struct, sys, venv
sys.exit(not ((3, 8) <= sys.version_info[:2] <= (3, 12) and struct.calcsize("P") == 8))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.11 python3.10 python3.12 python3.9 python3.8 python3 python; do
        if command -v "$candidate" >/dev/null && usable "$candidate"; then
            command -v "$candidate"
            return
        fi
        if [ -n "${PYTHON:-}" ]; then
            fail "PYTHON=$PYTHON is no usable Python: expected 3.8 to 3.12, 64 bits, with the modules venv and ensurepip"
        fi
    done
    fail "no usable Python found: expected 3.8 to 3.12, 64 bits, with the modules venv and ensurepip (on Debian and" \
        "Ubuntu: apt-get install python3-venv); name one with PYTHON=/path/to/python"
}

case "$(uname -s) $(uname -m)" in
"Linux x86_64") ;;
*) fail "MXNet has no wheels for $(uname -s) on $(uname -m): expected Linux on x86_64" ;;
esac

wanted=$(cat setup.py constraints.txt tools/environment.sh | cksum | tr ' ' '-')::$extras
if [ -x "$venv"/bin/python ] && [ "$(cat "$venv"/made-for 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

python=$(find_python)
echo "setting up $venv with $python (once; a few hundred megabytes)" >&2
"$python" -m venv --clear "$venv" || fail "$python -m venv failed"
"$venv"/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$extras]" ||
    fail "pip could not install the packages of setup.py (see above): is a package index within reach?"
# GluonCV asks for opencv-python, which links the system's libGL; the headless build of the same release does not.
if ! "$venv"/bin/python -c 'import cv2' 2>/dev/null; then
    version=$("$venv"/bin/python -c 'from importlib.metadata import version; print(version("opencv-python"))')
    "$venv"/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall \
        "opencv-python-headless==$version"
fi
"$venv"/bin/python -c 'import gluon_madapt, cv2, mxnet, gluoncv' || fail "the packages are installed but do not import (see above)"
echo "$wanted" >"$venv"/made-for
