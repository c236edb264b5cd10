#!/usr/bin/env bash
# The Python package: builds its extension module beside the tests of the workspace, whose libraries it shares, then runs its
# tests, scikit-learn's checks, the examples of its documentation, the checks of its types, and looks at its size.
# Needs Python 3.11 or newer and its package index, from which it makes an environment in target/.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=$PWD/target/python-venv
requirements=crates/python/requirements-test.txt
if ! cmp -s "$requirements" "$environment/requirements.txt"; then
  rm -rf "$environment"
  python3 -m venv "$environment"
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: -r "$requirements"
  "$environment/bin/python" -m pip check
  cp "$requirements" "$environment/requirements.txt"
fi
# The features of the workspace's tests, so that nothing but the module itself is compiled.
cargo build --workspace --lib --tests --quiet
# The package as a wheel lays it out.
layout=$PWD/target/python
rm -rf "$layout"
mkdir -p "$layout"
cp -r crates/python/samplewise "$layout/samplewise"
cp "${CARGO_TARGET_DIR:-target}/debug/lib_core.so" "$layout/samplewise/_core.abi3.so"
strip "$layout/samplewise/_core.abi3.so"
size=$(gzip -c "$layout/samplewise/_core.abi3.so" | wc -c)
echo "extension module: $((size / 1000)) kB compressed"
test "$size" -lt 8000000
export PYTHONPATH=$layout
modules="samplewise._call samplewise.completion samplewise.hamming samplewise.lasso samplewise.mtrl samplewise.partitions
samplewise.sensitivity samplewise.sklearn samplewise.surrogate samplewise.wht"
# shellcheck disable=SC2086
"$environment/bin/python" -m pytest -q -p no:cacheprovider --doctest-modules --pyargs $modules
"$environment/bin/python" -m pytest -q -p no:cacheprovider --doctest-glob='*.md' crates/python/README.md guide crates/python/tests \
  --ignore=guide/scale --ignore=crates/python/tests/engines
(
  cd "$layout"
  "$environment/bin/mypy" --config-file ../../crates/python/pyproject.toml --cache-dir ../mypy samplewise
  MYPYPATH=. "$environment/bin/stubtest" --mypy-config-file ../../crates/python/pyproject.toml samplewise._core
)
# The examples, whose pictures go where nobody looks.
for example in crates/python/examples/*.py; do
  "$environment/bin/python" "$example" "$layout/picture.svg" >/dev/null
done
