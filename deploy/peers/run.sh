#!/usr/bin/env bash
# jsforce and simple-salesforce beside the writer, each into an empty org of its own with the same latency. The writer's
# figures are those of `throughline bench writer`, which ends with an error unless every record is WRITTEN; its simulator
# speaks http. RECORDS_N, LATENCY and SAMPLE (records written one by one) change the sizes.
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
cat >"$work/orgs.yaml" <<Y
orgs:
  - key: acme
    package: true
    latency: {median: $latency, p99: $latency}
    apps: [{client_id: app, client_secret: secret, run_as: bench@acme.example}]
    users: [{username: bench@acme.example, last_name: Bench}]
Y
export RECORDS=$work/records.ndjson
seq "$n" | sed 's/.*/{"External_Id__c":"row&","Title__c":"How engagement reaches your CRM","View_Count__c":&}/' >"$RECORDS"
# against runs a client against a fresh simulator and keeps its result.
against() {
  rm -rf "$work/sim"; : >"$work/out"
  bin/throughline simulate --listen 127.0.0.1:0 --scenario "$work/orgs.yaml" --dir "$work/sim" --tls >"$work/out" 2>"$work/log" &
  sim=$!
  until url=$(sed -n 's/^Salesforce simulator: //p' "$work/out") && [ -n "$url" ]; do
    kill -0 "$sim" 2>/dev/null || { cat "$work/log"; exit 1; }
    sleep 0.1
  done
  (cd "$dir" && SIMULATOR_URL=$url NODE_EXTRA_CA_CERTS=$work/sim/tls/ca.pem REQUESTS_CA_BUNDLE=$work/sim/tls/ca.pem "$@") >>"$work/results"
  stop
}
against node peer.mjs
against venv/bin/python peer.py bulk2
against venv/bin/python peer.py single
bin/throughline bench writer --json --latency "$latency" --records "$n" --for 1s --orgs 2 --dead 1 --orgs-rate 2 >"$work/own"
python3 deploy/peers/table.py "$RECORDS" "$work/results" "$work/own"
