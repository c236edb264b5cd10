#!/usr/bin/env bash
# Tests of the workspace, examples and the extension module of Python share one build only where the workspace and its default
# members ask for the same features of every package that both have. Names those that differ.
set -euo pipefail
cd "$(dirname "$0")/.."
features() { cargo tree "$@" --edges normal,build,dev --prefix none --no-dedupe --format '{p} [{f}]' | sort -u; }
differ=$(comm -23 <(features) <(features --workspace))
if [ -n "$differ" ]; then
  printf 'the default members ask for other features than the workspace:\n%s\n' "$differ" >&2
  exit 1
fi
