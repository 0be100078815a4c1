#!/bin/sh
# Creates .venv and installs this project into it: tools/setup.sh EXTRA, with EXTRA the extra to install (demo, dev).
#
# Environment:
#   PYTHON              the interpreter to use; otherwise the first one found that is new enough
#   RECOMMENDER_TORCH   "cuda" takes PyTorch's GPU build on Linux, several gigabytes; default is the CPU build
set -eu
cd "$(dirname "$0")/.."

EXTRA=${1:?usage: tools/setup.sh EXTRA}
TORCH=torch==2.13.0
TORCH_CPU_INDEX=https://download.pytorch.org/whl/cpu

say() { printf '%s\n' "setup: $*"; }
die() { printf '%s\n' "$@" >&2; exit 1; }

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
        if new_enough "$candidate"; then command -v "$candidate"; return; fi
    done
    die "No Python 3.11 or newer found (looked for: ${PYTHON:-python3, python3.13, python3.12, python3.11, python})." \
        "Install one, or name it: PYTHON=/path/to/python3.12 make ..."
}

check_venv_module() {
    "$1" -c 'import venv, ensurepip' 2>/dev/null ||
        die "$1 cannot create virtual environments: its venv module is not installed." \
            "  Debian, Ubuntu: apt-get install python3-venv"
}

# hnswlib, the vector index, is published as source only: pip compiles it, and fails late and at length without these.
check_compiler() {
    for compiler in ${CXX:-c++ g++ clang++}; do
        if echo 'int main() {}' | $compiler -x c++ -fsyntax-only - 2>/dev/null; then compiler_found=yes; fi
    done
    headers=$("$1" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    if [ -n "${compiler_found:-}" ] && [ -f "$headers/Python.h" ]; then return; fi
    die "A C++ compiler and Python's headers are needed: hnswlib, the vector index, comes as source." \
        "  compiler: ${compiler_found:-no}    headers: $headers/Python.h" \
        "  Debian, Ubuntu: apt-get install g++ python3-dev" \
        "  Fedora, RHEL:   dnf install gcc-c++ python3-devel" \
        "  Alpine:         apk add g++ python3-dev" \
        "  macOS:          xcode-select --install"
}

pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }

# Ten seconds in all: some networks drop packets instead of refusing.
answers() {
    (.venv/bin/python -c 'import signal, sys, urllib.request
signal.alarm(10)
urllib.request.urlopen(sys.argv[1], timeout=5)' "$1") >/dev/null 2>&1
}

# Without its dependencies: those come from pip's own index, with everything else.
install_torch() {
    if .venv/bin/python -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("torch"))'; then return; fi
    set -- "$TORCH"
    if [ "$(uname)" = Linux ] && [ "${RECOMMENDER_TORCH:-cpu}" != cuda ]; then
        if answers "$TORCH_CPU_INDEX/torch/"; then
            set -- --index-url "$TORCH_CPU_INDEX" "$TORCH"
        else
            say "cannot reach $TORCH_CPU_INDEX; taking pip's own index (on PyPI this is the build for CUDA, gigabytes)"
        fi
    fi
    pip install --no-deps "$@" ||
        die "PyTorch was not installed. Where pip finds no matching build: PyTorch has none for this system;" \
            "it needs glibc Linux (so not Alpine) or macOS on Apple silicon, and a Python that it supports already."
}

python=$(find_python)
check_venv_module "$python"
check_compiler "$python"

if ! .venv/bin/python -c '' 2>/dev/null; then
    say "creating .venv with $python"
    "$python" -m venv --clear .venv
fi
[ -n "${CI:-}" ] && export PIP_QUIET=2 # errors only
say "installing into .venv (the first time takes a few minutes)"
pip install --upgrade pip
install_torch
HNSWLIB_NO_NATIVE=1 pip install --editable ".[$EXTRA]" # portable: runs on other processors than this one
say "done"
