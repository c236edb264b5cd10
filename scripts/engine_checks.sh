#!/usr/bin/env bash
# The Python package on engines for tables beyond one machine: Sail, DuckDB, polars, Dask, DataFusion. Takes the package that
# scripts/python_checks.sh laid out in target/python. Needs Python 3.11 or newer and its package index, from which it makes an
# environment in target/ (pyspark-client comes as sources only).
set -euo pipefail
cd "$(dirname "$0")/.."
environment=$PWD/target/engines-venv
requirements=crates/python/tests/engines/requirements.txt
if ! cmp -s "$requirements" "$environment/requirements.txt"; then
  rm -rf "$environment"
  python3 -m venv "$environment"
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary=:all: --no-binary=pyspark-client -r "$requirements"
  "$environment/bin/python" -m pip check
  cp "$requirements" "$environment/requirements.txt"
fi
export PYTHONPATH=$PWD/target/python
# A server that hangs is given up and tried once more.
limited() {
  local limit=$1 code=0
  shift
  timeout "$limit" "$@" || code=$?
  if [ "$code" -eq 124 ]; then
    echo "no end within $limit s: once more"
    code=0
    timeout "$limit" "$@" || code=$?
  fi
  return "$code"
}
limited 120 "$environment/bin/python" -m pytest -q -p no:cacheprovider -W ignore crates/python/tests/engines/test_spark.py
for page in guide/scale/*.md; do
  limited 60 "$environment/bin/python" -W ignore crates/python/tests/engines/page.py "$page"
done
