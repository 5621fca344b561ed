#!/usr/bin/env bash
# Runs every fuzz test of the workspace for a while each: deploy/fuzz.sh [duration], default 10s.
set -euo pipefail
cd "$(dirname "$0")/.."
grep -rlE --include='*_test.go' '^func Fuzz[A-Z]' libs services | while read -r file; do
  dir=$(dirname "$file")
  grep -oE '^func Fuzz[A-Za-z0-9_]+' "$file" | cut -d' ' -f2 | while read -r name; do
    printf '\n%s %s\n' "$dir" "$name"
    go test "./$dir" -run '^$' -fuzz "^$name\$" -fuzztime "${1:-10s}"
  done
done
