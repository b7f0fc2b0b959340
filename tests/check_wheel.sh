#!/bin/sh
# Build the wheel, install it into a clean environment outside the repository, import the four packages, run the
# command, and make sure that nothing else is shipped.
set -eu
python=$(cd "$(dirname "$PYTHON")" && pwd)/$(basename "$PYTHON")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m build --wheel --outdir "$work/dist" . >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
wheel=$(ls "$work"/dist/*.whl)
constraints=$(pwd)/constraints.txt
"$python" -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check --constraint "$constraints" "$wheel"
cd "$work"
"$work/env/bin/python" - "$wheel" <<'PY'
import sys
import zipfile

import features, router_model, serving, training  # noqa: E401
from features import load_encoder

names = zipfile.ZipFile(sys.argv[1]).namelist()
tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
assert tops == {"features", "router_model", "serving", "training"}, tops
assert "training/benchmark/report/template.html.j2" in names, "the report's template is missing"
assert "serving/integrations/litellm_hook.py" in names, "the LiteLLM hook is missing"
assert "serving/integrations/examples/ask_and_report.sh" in names, "the shell example is missing"
assert "serving/decision_log/migrations/env.py" in names, "the log's migrations are missing"
assert any(name.endswith("licenses/NOTICE") for name in names), "NOTICE is missing"
for package in (features, router_model, serving, training):
    assert "site-packages" in package.__file__, package.__file__
    assert f"{package.__name__}/py.typed" in names, package.__name__
assert load_encoder("static").dimension == 256
assert "torch" not in sys.modules
print(f"wheel: {len(names)} files, {sum(i.compress_size for i in zipfile.ZipFile(sys.argv[1]).infolist()) / 1e6:.1f} MB")
PY
"$work/env/bin/router-model" --help >/dev/null
for command in import train evaluate certify route inspect; do "$work/env/bin/router-model" "$command" --help >/dev/null; done
echo "wheel: installs, imports and runs outside the repository"
