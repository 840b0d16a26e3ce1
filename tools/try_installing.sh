#!/usr/bin/env bash
# Install into an empty environment with every supported Python that is on this machine, and run the four stages there;
# see that the other Pythons are refused in one line. Ends with status 1 if any of that fails.
# Looks for python3.X on PATH and in pyenv's folder; PYTHONS="/path/to/python ..." names more. Arguments, as in 3.8 3.13, are
# the versions to try; all of them without.
set -uo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
log=$folder/log
# The package alone; then, by its tools, all four stages and the evaluation, on a few tiny images.
tests=(tests/system/test_installing.py tests/cli/test_command_line.py::test_proxies_follow_the_flags
    tests/cli/test_command_line.py::test_eval_reads_the_parameter_file_like_the_checkpoint)

find_python() {
    local candidate
    for candidate in ${PYTHONS:-} "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if "$candidate" -c "import ensurepip, sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

installs() {
    VENV=$folder/venv PYTHON=$1 EXTRAS=cpu,dev tools/environment.sh &&
        "$folder"/venv/bin/python -m pip check &&
        OMP_NUM_THREADS=1 "$folder"/venv/bin/python -m pytest -q -p no:cacheprovider "${tests[@]}"
}

# Each way to begin ends with an error of one line that names this Python's version; pip puts a frame around it.
is_refused() {
    local found status
    for way in "env PYTHON=$1 VENV=$folder/venv tools/environment.sh" "$1 gluon_madapt/system/supported.py" \
        "$1 tools/train_source.py" "$folder/venv/bin/python -m pip install --quiet ."; do
        [[ $way == *pip* ]] && "$1" -m venv --clear "$folder"/venv
        found=$($way 2>&1)
        status=$?
        echo "$way: status $status: $found"
        [ "$status" -ne 0 ] && grep -q "error: .*expected 3.8 to 3.12" <<<"$found" &&
            ! grep -q Traceback <<<"$found" || return 1
    done
}

tried="" failed="" absent=""
[ $# -gt 0 ] || set -- 3.8 3.9 3.10 3.11 3.12 3.7 3.13 3.14
for version in "$@"; do
    if ! python=$(find_python "$version"); then
        absent+=" $version"
        continue
    fi
    rm -rf "$folder"/venv
    case $version in
    3.8 | 3.9 | 3.1[0-2]) what=installs ;;
    *) what=is_refused ;;
    esac
    SECONDS=0
    if $what "$python" >"$log" 2>&1; then
        tried+=" $version"
        echo "Python $version: $what ($SECONDS s)"
    else
        failed+=" $version"
        echo "Python $version: NOT $what; what was said:"
        cat "$log"
    fi
done
echo "installing: tried${tried:- none}; failed:${failed:- none}; not present, not tried:${absent:- none}"
[ -z "$failed" ]
