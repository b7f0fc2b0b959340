#!/bin/sh
# The steps that make the image. The RUN lines of deploy/Dockerfile call them, and so does deploy/image/in_chroot.sh, which
# makes the same files where no container engine is. So the two cannot differ.
#
#   steps.sh system                     what runs Python and LightGBM, of Debian
#   steps.sh tools TOOLS                a virtual environment that builds; it stays out of the image
#   steps.sh dependencies TOOLS TARGET LOCK   the locked packages into a virtual environment without pip
#   steps.sh package TOOLS TARGET       the project itself, from the working folder
#   steps.sh slim TARGET                without what a service never reads; the rest is compiled
#   steps.sh user                       who runs the service, and the folder that belongs to it
#   steps.sh check TARGET MEGABYTES     that it works as that user, without torch; and the size of the file system
set -eu
UID_OF_SERVICE=10001
# Of scipy the service needs its functions (special), what they call (linalg) and sparse matrices.
# tests/deploy/test_image.py holds the service's imports against these.
PARTS_OF_TRAINING='cluster constants datasets differentiate fft fftpack integrate interpolate io misc ndimage odr optimize
  signal spatial sparse/csgraph sparse/linalg special/cython_special.*so stats'

case "$1" in
  system)
    apt-get update -qq
    # LightGBM needs GCC's OpenMP; certificates are for the providers.
    apt-get install -y -qq --no-install-recommends python3 libgomp1 ca-certificates >/dev/null
    rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log /usr/share/doc /usr/share/man \
      /usr/share/info /usr/share/locale /usr/lib/python3.*/test /usr/lib/python3.*/pydoc_data
    ;;
  tools)
    apt-get update -qq
    # The extension modules include Python.h, of libpython3-dev.
    apt-get install -y -qq --no-install-recommends python3-venv libpython3-dev binutils >/dev/null
    python3 -m venv "$2"
    "$2/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
      --requirement deploy/build-requirements.lock
    ;;
  dependencies)
    python3 -m venv --without-pip "$3"
    # Compiled below, and only what the service imports.
    "$2/bin/python" -m pip --python "$3/bin/python" install --quiet --disable-pip-version-check --no-compile \
      --require-hashes --only-binary :all: --no-deps --requirement "$4"
    ;;
  package)
    # ziglang, of the locked tools, compiles the extension module: the image needs no compiler of Debian.
    export CC="$2/bin/python -m ziglang cc -mcpu=baseline"
    # Without its extension modules the package would decide, too, but slowly. So say here why they cannot be compiled.
    "$2/bin/python" scripts/compile_native.py >/dev/null
    "$2/bin/python" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir "$2/wheels" .
    "$2/bin/python" -m pip --python "$3/bin/python" install --quiet --disable-pip-version-check --no-compile \
      --no-deps "$2"/wheels/router_model-*.whl
    ;;
  slim)
    # Tests of packages are never run, nobody compiles against them or debugs their libraries here: a third of the wheels.
    packages=$(echo "$2"/lib/python3*/site-packages)
    find "$packages" -type d \( -name tests -o -name test -o -name include \) -prune -exec rm -rf {} +
    rm -r "$packages"/sqlalchemy/testing "$packages"/alembic/testing "$packages"/numpy/_core/_simd.*
    find "$packages" -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.h' -o -name '*.a' \) -delete
    if [ ! -e "$packages/polars" ]; then # nothing trains there
      # shellcheck disable=SC2086
      (cd "$packages/scipy" && rm -r $PARTS_OF_TRAINING)
    fi
    # STRIP=true leaves symbols: binutils before 2.44 damage libraries that auditwheel has changed.
    find "$packages" -name '*.so*' -type f -exec "${STRIP:-strip}" --strip-unneeded {} +
    # The user of the service may not write here, so what it imports is compiled now, and never checked again.
    "$2/bin/python" - <<'PY'
import py_compile
import sys

import router_model.serving.app
import router_model.serving.commands.doctor
import router_model.serving.commands.serve
import router_model.serving.decision_log.sql_store
import router_model.serving.preflight
import router_model.serving.server
from router_model.serving.common.lean_imports import import_lightgbm_alone

import_lightgbm_alone()  # an explanation asks for it
for module in list(sys.modules.values()):
    file = getattr(module, "__file__", None) or ""
    if file.startswith(sys.prefix) and file.endswith(".py"):
        py_compile.compile(file, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
PY
    ;;
  user)
    groupadd --gid "$UID_OF_SERVICE" router
    useradd --uid "$UID_OF_SERVICE" --gid router --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin router
    install -d -o router -g router -m 0750 /var/lib/router
    install -d -m 0755 /etc/router /srv/router
    ;;
  check)
    size=$(du --summarize --one-file-system --block-size=1000000 --exclude=/proc --exclude=/sys --exclude=/dev / | cut -f1)
    echo "image: $size MB, of them $(du --summarize --block-size=1000000 "$2" | cut -f1) MB in $2"
    [ "$size" -le "$3" ] || { echo "the image is larger than $3 MB" >&2; exit 1; }
    setpriv --reuid "$UID_OF_SERVICE" --regid "$UID_OF_SERVICE" --clear-groups \
      env -i HOME=/nonexistent PATH=/usr/bin:/bin "$2/bin/python" -c '
import importlib.util, router_model.serving.app
from router_model.prediction.compiled._native import PROCESSORS
assert importlib.util.find_spec("torch") is None, "torch is in the image"
assert PROCESSORS[-1] == "baseline", PROCESSORS
'
    ;;
  *)
    echo "steps.sh: unknown step '$1'; see the head of this file" >&2
    exit 2
    ;;
esac
