#!/usr/bin/env bash
# The writer service, jsforce and simple-salesforce drain the same records into one simulator, each into an empty org of its own with
# the same latency, over TLS, one after the other. Each tells its wall time; calls and what stands in the org are what the
# simulator saw. RECORDS_N, LATENCY and SAMPLE (records written one by one) change the sizes.
set -euo pipefail
cd "$(dirname "$0")/../.."
n=${RECORDS_N:-10000} latency=${LATENCY:-150ms}
export SAMPLE=${SAMPLE:-40}
. deploy/clients/install.sh
cp deploy/peers/peer.mjs deploy/peers/peer.py "$dir"
work=$(mktemp -d)
sim=
stop() { if [ -n "$sim" ]; then kill "$sim" 2>/dev/null || true; wait "$sim" 2>/dev/null || true; sim=; fi; }
trap 'stop; rm -rf "$work"' EXIT
echo "orgs:" >"$work/orgs.yaml"
for org in writer collections jsforce bulk2 single; do
  cat >>"$work/orgs.yaml" <<Y
  - key: $org
    package: true
    latency: {median: $latency, p99: $latency}
    apps: [{client_id: app, client_secret: secret, run_as: bench@acme.example}]
    users: [{username: bench@acme.example, last_name: Bench}]
Y
done
export RECORDS=$work/records.ndjson
seq "$n" | sed 's/.*/{"External_Id__c":"row&","Title__c":"How engagement reaches your CRM","View_Count__c":&}/' >"$RECORDS"
: >"$work/out"
bin/throughline simulate --listen 127.0.0.1:0 --scenario "$work/orgs.yaml" --dir "$work/sim" --tls >"$work/out" 2>"$work/log" &
sim=$!
until url=$(sed -n 's/^Salesforce simulator: //p' "$work/out") && [ -n "$url" ]; do
  kill -0 "$sim" 2>/dev/null || { cat "$work/log"; exit 1; }
  sleep 0.1
done
program=$PWD/bin/throughline
export SIMULATOR_URL=$url NODE_EXTRA_CA_CERTS=$work/sim/tls/ca.pem REQUESTS_CA_BUNDLE=$work/sim/tls/ca.pem
export THROUGHLINE_BENCH_CLIENT_SECRET=secret
# into runs a client against an org; its result is one line.
into() {
  export ORG=$1
  shift
  (cd "$dir" && "$@") >>"$work/results"
}
drain() {
  local org=$1
  shift
  into "$org" "$program" bench drain --login-url "$url/orgs/$org" --ca "$work/sim/tls/ca.pem" --client-id app --records "$RECORDS" "$@"
}
drain writer
drain collections --collections-only
into jsforce node peer.mjs
into bulk2 venv/bin/python peer.py bulk2
into single venv/bin/python peer.py single
"$dir/venv/bin/python" deploy/peers/table.py "$RECORDS" "$work/results"
