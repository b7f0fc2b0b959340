#!/bin/sh
# Build the source distribution and from it the wheel (or take WHEEL), install it into a clean environment of PYTHON, and
# use it within a project that has folders of the same names as the repository's; make sure that nothing else is shipped.
set -eu
python=$(cd "$(dirname "$PYTHON")" && pwd)/$(basename "$PYTHON")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -n "${WHEEL:-}" ]; then wheel=$WHEEL; else
  "$python" -m build --outdir "$work/dist" . >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
  wheel=$(ls "$work"/dist/*.whl)
fi
constraints=$(pwd)/constraints.txt
deploy=$(pwd)/deploy
data=$(find features router_model serving training -type f ! -name '*.py' ! -path '*/__pycache__/*' \
  ! -path '*/native/*' ! -name '*.new') # C sources are not shipped, and the modules that they make are
"$python" -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$constraints" "$wheel"
mkdir "$work/project"
cd "$work/project"
for folder in features training serving tests; do
  mkdir "$folder"
  echo "mine = '$folder'" >"$folder/__init__.py"
done
"$work/env/bin/python" - "$wheel" $data <<'PY'
import sys
import zipfile

import features, serving, tests, training  # noqa: E401  (the project's)
import router_model
from router_model import Router, features as our_features, serving as our_serving, training as our_training
from router_model.features import load_encoder
from router_model.prediction.compiled._native import PROCESSORS

names = zipfile.ZipFile(sys.argv[1]).namelist()
tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
assert tops == {"router_model"}, tops
assert "router_model/serving/decision_log/migrations/env.py" in names  # a script in a folder that is no package
for path in sys.argv[2:]:  # templates, tables, pictures: whatever stands beside the code
    assert f"router_model/{path.removeprefix('router_model/')}" in names, f"{path} is missing"
for module in ("prediction/compiled", "features"):
    assert f"router_model/{module}/_native.abi3.so" in names, f"the extension module of {module} was not compiled"
assert "-cp311-abi3-" in sys.argv[1], sys.argv[1]
assert PROCESSORS[-1] == "baseline", PROCESSORS
assert len(sys.argv) > 40  # else the files were not found
for package in (features, serving, tests, training):
    assert package.mine == package.__name__, package
for package in (router_model, our_features, our_serving, our_training):
    assert "site-packages" in package.__file__, package.__file__
assert Router.__module__ == "router_model.router"
assert any(name.endswith("licenses/NOTICE") for name in names), "NOTICE is missing"
assert load_encoder("static").dimension == 256
assert "torch" not in sys.modules
print(f"wheel: {len(names)} files, {sum(i.compress_size for i in zipfile.ZipFile(sys.argv[1]).infolist()) / 1e6:.1f} MB")
PY
"$work/env/bin/python" -m router_model train --help >/dev/null
"$work/env/bin/router-model" --help >/dev/null
"$work/env/bin/router-model" --version | grep -qx "router-model, version $(basename "$wheel" | cut -d- -f2)"
for command in import train evaluate certify route inspect; do "$work/env/bin/router-model" "$command" --help >/dev/null; done
echo "wheel: installs, imports and runs within a project with folders of the same names"

if [ -n "${WHEEL:-}" ]; then exit; fi # once is enough
# As the image has it: the locked packages alone, by their hashes, without what a service never reads.
"$python" -m venv --without-pip "$work/service"
locked() {
  "$python" -m pip --python "$work/service/bin/python" install --quiet --disable-pip-version-check --no-compile --no-deps "$@"
}
locked --require-hashes --only-binary :all: --requirement "$deploy/requirements.lock"
locked "$wheel"
STRIP=true "$deploy/image/steps.sh" slim "$work/service" # it imports the service
"$work/service/bin/router-model" serve --help >/dev/null
echo "image: the locked packages serve without what training needs"
