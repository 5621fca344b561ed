#!/usr/bin/env bash
# Third-party Salesforce clients, unchanged, against the simulator. Installs them into .build/clients when their pinned
# versions are not there yet. CLIENTS_DIR names another folder for them.
set -euo pipefail
cd "$(dirname "$0")/../.."

dir=${CLIENTS_DIR:-.build/clients}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

# current says whether an install was made from these files; stamp notes it.
current() { [ -f "$dir/$1.sum" ] && sha256sum --check --status "$dir/$1.sum"; }
stamp() { local name=$1; shift; sha256sum "$@" >"$dir/$name.sum"; }

if ! current node; then
  echo "installing the npm clients"
  cp deploy/clients/package.json deploy/clients/package-lock.json "$dir"
  (cd "$dir" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
  stamp node deploy/clients/package.json deploy/clients/package-lock.json
fi
cp deploy/clients/*.test.js "$dir"

work=$(mktemp -d)
sim=
cleanup() { [ -z "$sim" ] || kill "$sim" 2>/dev/null || true; rm -rf "$work"; }
trap cleanup EXIT

bin/throughline simulate --listen 127.0.0.1:0 --scenario deploy/clients/orgs.yaml >"$work/out" 2>"$work/log" &
sim=$!
until url=$(sed -n 's/^Salesforce simulator: //p' "$work/out") && [ -n "$url" ]; do
  kill -0 "$sim" 2>/dev/null || { cat "$work/log"; exit 1; }
  sleep 0.1
done

export SIMULATOR_URL=$url
(cd "$dir" && node --test jsforce.test.js)
