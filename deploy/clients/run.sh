#!/usr/bin/env bash
# Third-party Salesforce clients, unchanged, against the simulator. Installs them into .build/clients when their pinned
# versions are not there yet. CLIENTS_DIR names another folder for them.
set -euo pipefail
cd "$(dirname "$0")/../.."

. deploy/clients/install.sh
cp deploy/clients/*.test.js deploy/clients/test_*.py "$dir"

work=$(mktemp -d)
sim=
cleanup() {
  if [ -n "$sim" ]; then kill "$sim" 2>/dev/null || true; wait "$sim" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

: >"$work/out"
bin/throughline simulate --listen 127.0.0.1:0 --scenario deploy/clients/orgs.yaml --dir "$work/sim" --tls --pubsub 127.0.0.1:0 >"$work/out" 2>"$work/log" &
sim=$!
until endpoint=$(sed -n 's/^Pub\/Sub API: //p' "$work/out") && [ -n "$endpoint" ]; do
  kill -0 "$sim" 2>/dev/null || { cat "$work/log"; exit 1; }
  sleep 0.1
done

url=$(sed -n 's/^Salesforce simulator: //p' "$work/out")

export SIMULATOR_URL=$url PUBSUB_ENDPOINT=$endpoint NODE_EXTRA_CA_CERTS=$work/sim/tls/ca.pem REQUESTS_CA_BUNDLE=$work/sim/tls/ca.pem
cd "$dir"
failed=0
timeout 900 node --test --test-reporter=spec jsforce.test.js pubsub.test.js sf.test.js || failed=1
PYTHONDONTWRITEBYTECODE=1 timeout 900 venv/bin/python -m unittest --verbose test_simple_salesforce || failed=1
exit $failed
