#!/bin/sh
# The steps that make the image. The RUN lines of deploy/Dockerfile call them, and so does deploy/image/in_chroot.sh, which
# makes the same files where no container engine is. So the two cannot differ.
#
#   steps.sh system                     what runs Python and LightGBM, of Debian
#   steps.sh tools TOOLS                a virtual environment that builds; it stays out of the image
#   steps.sh dependencies TOOLS TARGET LOCK   the locked packages into a virtual environment without pip
#   steps.sh package TOOLS TARGET       the project itself, from the working folder
#   steps.sh user                       who runs the service, and the folder that belongs to it
#   steps.sh check TARGET MEGABYTES     that it works as that user, without torch; and the size of the file system
set -eu
UID_OF_SERVICE=10001

case "$1" in
  system)
    apt-get update -qq
    # LightGBM needs GCC's OpenMP; certificates are for the providers.
    apt-get install -y -qq --no-install-recommends python3 libgomp1 ca-certificates >/dev/null
    rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log /usr/share/doc /usr/share/man /usr/share/locale
    ;;
  tools)
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends python3-venv binutils >/dev/null
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
    CC="$2/bin/python -m ziglang cc" "$2/bin/python" -m pip wheel --quiet --disable-pip-version-check \
      --no-deps --no-build-isolation --wheel-dir "$2/wheels" .
    "$2/bin/python" -m pip --python "$3/bin/python" install --quiet --disable-pip-version-check --no-compile \
      --no-deps "$2"/wheels/router_model-*.whl
    # Tests of packages are never run, and nobody debugs their libraries here: a third of what the wheels hold.
    find "$3" -type d \( -name tests -o -name test \) -path '*/site-packages/*' -prune -exec rm -rf {} +
    find "$3" -name '*.so*' -type f -exec strip --strip-unneeded {} +
    # The user of the service may not write here, so what it imports is compiled now, and never checked again.
    "$3/bin/python" - <<'PY'
import py_compile
import sys

import router_model.serving.app
import router_model.serving.commands.doctor
import router_model.serving.commands.serve
import router_model.serving.decision_log.sql_store
import router_model.serving.preflight
import router_model.serving.server

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
