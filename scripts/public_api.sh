#!/usr/bin/env bash
# Lists what each crate makes public, one item a line, in tests/public_api/; with --check says what differs from the lists.
# Needs cargo-public-api and a nightly toolchain.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p tests/public_api
status=0
for crate in linalg completion wht hamming sensitivity lasso mtrl; do
  list=tests/public_api/$crate.txt
  found=$(cargo public-api -p "samplewise-$crate" -sss --color never 2>/dev/null)
  if [[ ${1:-} == --check ]]; then
    diff -u "$list" <(printf '%s\n' "$found") || status=1
  else
    printf '%s\n' "$found" > "$list"
    printf '%-12s %5s items\n' "$crate" "$(wc -l < "$list")"
  fi
done
exit $status
