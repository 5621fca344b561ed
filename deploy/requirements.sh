#!/usr/bin/env bash
# Runs the suites and writes docs/requirements.md. Called by `make requirements`, which builds the tool.
set -uo pipefail
cd "$(dirname "$0")/.."
CGO_ENABLED=0 go test -json ./proto/... ./libs/... ./services/... | .build/bin/requirements
