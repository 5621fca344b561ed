#!/usr/bin/env bash
# Runs what docker-compose.yml runs – Apache Kafka, PostgreSQL, the Salesforce simulator and every service on its own – as
# plain processes on this machine, with the same configuration file, and checks what they do together: events over HTTP and
# over Kafka, records in the org, trace and outcomes, a writer killed with -9 while its requests are under way, and an orderly
# stop. Everything speaks TLS, and every service has a Kafka user of its own with the rights that `throughline acls` lists and no
# others. Needs java, Maven, PostgreSQL, openssl, curl and bin/throughline; no container engine. About a minute; `make test-separate`.
#
# KEEP=1 keeps the working folder with all logs.
set -euo pipefail
cd "$(dirname "$0")/.."

# free_port sets free to a port that is free now, as is the next one: below the range that outgoing connections take theirs
# from, and another one at every call.
free=$((10000 + RANDOM % 18000))
free_port() {
  while free=$((free + 2)); do
    (exec 3<>"/dev/tcp/127.0.0.1/$free") 2>/dev/null || (exec 3<>"/dev/tcp/127.0.0.1/$((free + 1))") 2>/dev/null || return 0
  done
}
accounts=(ingest visits identity mapping writer sync config console trace replay)
[ -n "${KAFKA_SECRETS:-}" ] || { free_port; unset KAFKA_BROKERS
  exec deploy/kafka/run-kafka.sh exec --port "$free" --secure "player ${accounts[*]/#/tl-}" -- "$0" "$@"; }
[ -n "${THROUGHLINE_TEST_POSTGRES:-}" ] || exec deploy/postgres/run-postgres.sh exec "$0" "$@"

bin=${THROUGHLINE:-$PWD/bin/throughline} compose=$PWD/deploy/compose
dir=$(mktemp -d "${TMPDIR:-/tmp}/throughline-separate.XXXXXX")
services=(config writer-1 writer-2 mapping identity visits sync ingest console) # in order of start
declare -A pid port
for p in simulator config http ingest console "${services[@]/%/-admin}"; do free_port; port[$p]=$free; done

table=() missed=0
row() { # outcome, what, detail
  table+=("$(printf '  %-5s %-52s %s' "$1" "$2" "$3")"); printf '%4ss %s\n' "$SECONDS" "${table[-1]}"
}
check() { # what, expected, actual
  if [ "$2" = "$3" ]; then row ok "$1" "$3"; else row MISS "$1" "expected $2, got $3"; missed=1; fi
}
cleanup() {
  local code=$? p
  for p in "${pid[@]}"; do kill -9 "$p" && wait "$p"; done 2>/dev/null || true
  [ "$code" -eq 0 ] || for p in "$dir"/*.log; do printf '\n\n== %s\n' "$p"; tail -n 8 "$p"; done
  [ -n "${KEEP:-}" ] && echo "kept: $dir" || rm -rf "$dir"
}
trap cleanup EXIT
give_up() { echo "gave up: $1"; exit 1; }
# await: seconds, what, command… until the command succeeds.
await() {
  local until=$((SECONDS + $1)) what=$2; shift 2
  until "$@" >/dev/null 2>&1; do [ "$SECONDS" -lt "$until" ] || return 1; sleep 0.2; done
}

# The compose file's configuration, with this machine's addresses and paths in place of the network's and the volumes'.
export THROUGHLINE_CONFIG=$compose/throughline.yaml
export THROUGHLINE_KAFKA__BROKERS="[$KAFKA_BROKERS]"
export THROUGHLINE_KAFKA__TLS="{enabled: true, ca_file: $KAFKA_SECRETS/ca.crt}"
as() { # Kafka user, command…
  THROUGHLINE_KAFKA__SASL="{mechanism: SCRAM-SHA-512, username: $1, password_file: $KAFKA_SECRETS/$1}" "${@:2}"
}
export THROUGHLINE_CONFIG__TLS="{cert_file: $KAFKA_SECRETS/node.crt, key_file: $KAFKA_SECRETS/node.key}" THROUGHLINE_CONFIG__PLAINTEXT=false
export THROUGHLINE_SETTINGS__TLS="{ca_file: $KAFKA_SECRETS/ca.crt}" THROUGHLINE_SETTINGS__PLAINTEXT=false
export THROUGHLINE_INGEST__HTTP__CERT_FILE=$KAFKA_SECRETS/node.crt THROUGHLINE_INGEST__HTTP__KEY_FILE=$KAFKA_SECRETS/node.key
export THROUGHLINE_TELEMETRY__OTLP_ENDPOINT=
export THROUGHLINE_INSTALLATION_KEY_FILE=$dir/keys/installation.key
export THROUGHLINE_ADMIN_TOKEN_FILE=$dir/keys/admin.token THROUGHLINE_VIEWER_TOKEN_FILE=$dir/keys/viewer.token
export THROUGHLINE_SETTINGS__TOKEN_FILE=$dir/keys/service.token THROUGHLINE_SETTINGS__TARGET=127.0.0.1:${port[config]}
export THROUGHLINE_ORGS__SALESFORCE__TRUSTED_HOSTS=[127.0.0.1] THROUGHLINE_CONFIG__TRUSTED_HOSTS=[127.0.0.1]
export THROUGHLINE_CONFIG__LISTEN=127.0.0.1:${port[config]} THROUGHLINE_CONFIG__HTTP=127.0.0.1:${port[http]}
export THROUGHLINE_CONFIG__DATABASE__POSTGRES_DSN=$THROUGHLINE_TEST_POSTGRES
export THROUGHLINE_CONFIG__DATABASE__POSTGRES_PASSWORD_FILE=$compose/postgres_password.txt
export THROUGHLINE_CONFIG__CALLERS="[{name: administrator, role: admin, token_file: $dir/keys/admin.token},
  {name: services, role: service, token_file: $dir/keys/service.token}, {name: console, role: viewer, token_file: $dir/keys/viewer.token}]"
export THROUGHLINE_CONSOLE__TOKEN_FILE=$dir/keys/viewer.token THROUGHLINE_CONSOLE__LISTEN=127.0.0.1:${port[console]}
export THROUGHLINE_INGEST__HTTP__ADDR=127.0.0.1:${port[ingest]}
sim=http://127.0.0.1:${port[simulator]}
export SALESFORCE_URL=$sim/orgs/acme # for example.yaml

start() { # one service, by the name it has here: a number at its end tells replicas apart
  THROUGHLINE_ADMIN__LISTEN=127.0.0.1:${port[$1-admin]} THROUGHLINE_SETTINGS__SAVE_PATH=$dir/$1.snapshot \
    as "tl-${1%-[0-9]}" exec "$bin" serve "${1%-[0-9]}" >>"$dir/$1.log" 2>&1 &
  pid[$1]=$!
}
health() { "$bin" health --url "http://127.0.0.1:${port[$1-admin]}/readyz"; }
metrics() { curl -sf -m 60 "http://127.0.0.1:${port[$1-admin]}/metrics"; }
sum() { metrics "$1" | grep "^$2" | awk '{ n += $NF } END { print n + 0 }'; } # service, pattern of metrics
records() { curl -sf -m 60 "$sim/_sim/export?org=acme&object=$1" >"$dir/$1.ndjson"; wc -l <"$dir/$1.ndjson"; }
has() { [ "$(records "$1")" -ge "$2" ]; }
field() { grep -o "\"$2\":\"[^\"]*\"" "$dir/$1.ndjson" | sort -u | wc -l; } # object, field: its different values

# ---- events, made of one template each; ids are UUIDv7, so that trace finds them by their time
serial=0 id=
next_id() {
  serial=$((serial + 1)); local ms; ms=$(date +%s%3N)
  printf -v id '%08x-%04x-7000-8000-%012x' $((ms >> 16)) $((ms & 0xffff)) "$serial"
}
event() { # type, session, content kind's fields, viewer, more fields
  next_id
  printf '{"specversion":"1.0","id":"%s","source":"/separate","type":"throughline.%s.v1","time":"%s","workspace":"acme","session":"%s","data":{"content":{%s,"ownerEmail":"hanako@acme.example","ownerName":"Hanako Suzuki"},"viewer":{"email":"%s","evidence":"signed_in"}%s}}\n' \
    "$id" "$1" "$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)" "$2" "$3" "$4" "$5"
}
document() { # content, viewer: opened, read, closed
  local c="\"id\":\"$1\",\"title\":\"Brochure $1\",\"pageCount\":10"
  event document.opened "s-$1" "$c" "$2" ''
  event document.page_viewed "s-$1" "$c" "$2" ',"page":2,"dwellSeconds":12'
  event document.closed "s-$1" "$c" "$2" ',"page":2'
}
video() { # content, viewer: half of it watched, left
  local c="\"id\":\"$1\",\"title\":\"Film $1\",\"lengthSeconds\":100"
  event video.started "s-$1" "$c" "$2" ''
  event video.progress "s-$1" "$c" "$2" ',"ranges":[{"from":0,"to":50}]'
  event video.ended "s-$1" "$c" "$2" ',"completed":false'
}
post() { # file; prints the answer's status
  curl -s -m 120 -o "$dir/answer.json" -w '%{http_code}' --cacert "$KAFKA_SECRETS/ca.crt" "https://127.0.0.1:${port[ingest]}/v1/events" \
    -H "Authorization: Bearer $1" -H 'Content-Type: application/x-ndjson' --data-binary "@$2"
}

# ---- start, in the compose file's order
as admin "$bin" init >"$dir/init.log" 2>&1 || give_up "init: $(cat "$dir/init.log")"
check "init makes the try-out topic too" 1 "$(grep -c 'viewing-events, 12 partitions' "$dir/init.log")"
check "init's keys and tokens are their owner's alone" 4 "$(find "$dir/keys" -type f -perm 600 | wc -l)"
as admin "$bin" acls --create --producer User:player=viewing-events >"$dir/acls.log" 2>&1 || give_up "acls: $(cat "$dir/acls.log")"
as admin "$bin" init >/dev/null 2>&1 && row ok "init once more changes nothing" "exit 0" || { row MISS "init once more" "failed"; missed=1; }
"$bin" simulate --listen "127.0.0.1:${port[simulator]}" --dir "$dir/salesforce" --scenario "$compose/orgs.yaml" >"$dir/simulator.log" 2>&1 &
pid[simulator]=$!
await 120 simulator "$bin" health --url "$sim/_sim/stats" || give_up "the simulator did not start"
for s in "${services[@]}"; do
  start "$s"
  [ "$s" != config ] || await 180 "$s" health "$s" || give_up "config did not become healthy"
done
for s in "${services[@]}"; do await 180 "$s" health "$s" || give_up "$s did not become healthy: $(health "$s" 2>&1)"; done
row ok "every service is healthy" "${services[*]}"

# ---- settings
"$bin" apply -f "$compose/example.yaml" >"$dir/apply.log" 2>&1 || give_up "apply: $(cat "$dir/apply.log")"
key=$(grep -o 'tl_acme_player_[^ ]*' "$dir/apply.log")
check "apply saves the example" 6 "$(grep -c ' created' "$dir/apply.log")"
"$bin" apply -f "$compose/example.yaml" >"$dir/apply-again.log" 2>&1 || true
check "apply once more changes nothing" 6 "$(grep -c ' unchanged' "$dir/apply-again.log")"

# ---- events over HTTP
: >"$dir/http.ndjson"
for n in $(seq 10); do document "hd-$n" lena@neuland.example; video "hv-$n" taro@customer.example; done >>"$dir/http.ndjson"
video stranger nobody@nowhere.example >>"$dir/http.ndjson" # in no record: nothing to write to
sample=$(grep -m1 'document.closed' "$dir/http.ndjson" | sed -E 's/.*"id":"([^"]{36})".*/\1/')
check "a wrong API key is refused" 401 "$(post tl_acme_player_wrong "$dir/http.ndjson")"
settings_arrived() { [ "$(post "$key" "$dir/http.ndjson")" = 202 ]; } # the key needs a moment to reach ingest
await 120 "the API key" settings_arrived || give_up "ingest answers $(post "$key" "$dir/http.ndjson"): $(cat "$dir/answer.json")"
row ok "63 events over HTTP are stored" 202
check "the same events again are taken, without effect" 202 "$(post "$key" "$dir/http.ndjson")"

# ---- events over Kafka, one of them nonsense
for n in $(seq 10); do document "kd-$n" amir@cedar.example; video "kv-$n" taro@customer.example; done >"$dir/kafka.ndjson"
echo '{"key":"nonsense","value":"not an event"}' >>"$dir/kafka.ndjson"
check "events over Kafka" "sent 61 events to viewing-events" "$(as player "$bin" send "$dir/kafka.ndjson" 2>&1)"
refused() { # what, Kafka user, command…: it must fail for want of a right
  local limit
  for limit in 3s 30s; do # what a slow machine had not heard in the shorter time it hears in the longer one
    if THROUGHLINE_KAFKA__PRODUCE_TIMEOUT=$limit as "${@:2}" >"$dir/refused.log" 2>&1; then row MISS "$1" "it may"; missed=1; return; fi
    ! grep -q 'is not authorized' "$dir/refused.log" || break
  done
  if grep -q 'is not authorized' "$dir/refused.log"; then row ok "$1" "refused by Kafka"
  else row MISS "$1" "$(tail -1 "$dir/refused.log")"; missed=1; fi
}
refused "a producer may not write the pipeline's topics" player "$bin" send --topic tl.writes.v1 "$dir/kafka.ndjson"
refused "a producer may not read what becomes of events" player "$bin" replay --workspace acme --stage ingest
refused "the writer may not write what identity writes" tl-writer "$bin" send --topic tl.resolved.v1 "$dir/kafka.ndjson"
await 180 tasks has Task 20 && await 120 rows has Engagement__c 40 || true
check "one Task per document left" 20 "$(records Task)"
check "one engagement per person and content" 40 "$(records Engagement__c)"
check "the nonsense is a dead letter" 1 "$(sum ingest throughline_stage_dead_letters_total)"

# ---- the whole way of one event
written() { "$bin" outcomes --workspace acme --event "$sample" --status written | grep -q ' Task 00T'; }
await 120 "the run log" written && row ok "outcomes names the event's record" "$("$bin" outcomes --workspace acme --event "$sample" --status written --json | grep -o '00T[A-Za-z0-9]*' | head -1)" \
  || { row MISS "outcomes of $sample" "no written Task"; missed=1; }
as tl-trace "$bin" trace --workspace acme "$sample" >"$dir/trace.txt" 2>&1 && row ok "trace follows it" "$(wc -l <"$dir/trace.txt") lines, exit 0" \
  || { row MISS "trace" "$(tail -1 "$dir/trace.txt")"; missed=1; }
check "trace tells of stages and record" 1 "$(grep -q 'document-close\|follow-up' "$dir/trace.txt" && grep -cm1 '00T' "$dir/trace.txt" || echo 0)"
outcomes=$(curl -sf -m 120 -H "Authorization: Bearer $(cat "$dir/keys/viewer.token")" --cacert "$KAFKA_SECRETS/ca.crt" \
  "https://127.0.0.1:${port[http]}/v1/workspaces/acme/outcomes?eventId=$sample")
check "the HTTP API knows what became of the event" yes "$(grep -q STATUS_ <<<"$outcomes" && echo yes)"
page=$(curl -s -m 120 -c "$dir/jar" -L -o "$dir/page.html" -w '%{http_code}' "http://127.0.0.1:${port[console]}/?token=$(cat "$dir/keys/viewer.token")")
check "the console lets its token in" 200 "$page"
check "the console shows the event" 200 "$(curl -s -m 120 -b "$dir/jar" -o "$dir/page.html" -w '%{http_code}' "http://127.0.0.1:${port[console]}/workspaces/acme/events/$sample")"

# ---- kill -9 the writer that has the org's lane, while its requests are under way
owner=writer-1; [ "$(sum writer-1 throughline_writer_requests_total)" -gt 0 ] || owner=writer-2
other=writer-1; [ "$owner" = writer-2 ] || other=writer-2
check "one writer alone has the org's lane" 0 "$(sum "$other" throughline_writer_requests_total)"
curl -sf -m 60 "$sim/_sim/faults" -d '{faults: [{id: slow, org: acme, route: "collections*", action: drop_after, wait: 1m}]}' >"$dir/fault.json"
before=$(sum "$owner" 'throughline_writer_records_total.*WRITTEN')
for n in $(seq 150); do document "wd-$n" lena@neuland.example; done >"$dir/wave.ndjson"
as player "$bin" send "$dir/wave.ndjson" >/dev/null
# The org has made the first of them, but its answer is a minute away: the worst moment.
await 120 "the first Task" has Task 21 || true
answered=$(($(sum "$owner" 'throughline_writer_records_total.*WRITTEN') - before))
kill -9 "${pid[$owner]}"; wait "${pid[$owner]}" 2>/dev/null || true
made=$(($(records Task) - 20))
check "kill -9 $owner between the org's doing and its answer" 0 "$answered"
[ "$made" -gt 0 ] && row ok "records made, with nobody told" "$made Tasks" || { row MISS "records made, with nobody told" 0; missed=1; }
curl -sf -m 60 -X DELETE "$sim/_sim/faults" >/dev/null
start "$owner"
await 180 "Tasks" has Task 170 && await 120 "rows" has Engagement__c 190 || true
# What is doubled comes late: wait until a writer has taken the lane over and settled all of it.
settled() {
  local n; n=$(($(sum writer-1 throughline_writer_requests_total) + $(sum writer-2 throughline_writer_requests_total)))
  [ "$n" -gt 0 ] && [ "$(($(sum writer-1 throughline_stage_lag) + $(sum writer-2 throughline_stage_lag)))" = 0 ] && health "$owner"
}
if await 180 "the writers" settled; then row ok "the lane is taken over and settled" "$owner or $other"; else row MISS "the lane is taken over" "not within 3 minutes"; missed=1; fi
check "every Task is there, once" "170 170" "$(records Task) $(field Task Throughline_Key__c)"
check "every engagement is there, once" "190 190" "$(records Engagement__c) $(field Engagement__c External_Id__c)"

# ---- what the dashboard and the alerts ask for exists
asked=$(grep -ohE '\b(throughline|messaging|http_client|rpc_server|process)_[a-z_]+\b' \
  "$compose"/grafana/dashboards/*.json "$compose"/prometheus-alerts.yml | sort -u)
all_there() {
  local s m
  for s in "${services[@]}"; do metrics "$s"; done >"$dir/metrics.txt"
  absent=
  for m in $asked; do
    grep -qE "^$m[{ ]|[{,]$m=" "$dir/metrics.txt" || absent+=" $m" # a metric, or a label of one
  done
  [ -z "$absent" ]
}
await 180 "the metrics, some of which are of what config looks at once a minute" all_there || true
check "every metric of dashboard and alerts exists" "" "$absent"

# ---- stop from the beginning of the flow, with events on their way, and start again
stop_all() { # what
  local s code failed=
  for s in ingest sync visits identity mapping writer-1 writer-2 console config; do
    code=0; kill -TERM "${pid[$s]}" || true; wait "${pid[$s]}" || code=$?
    unset "pid[$s]"
    [ "$code" = 0 ] || failed+=" $s($code)"
  done
  check "$1" "" "$failed"
}
for n in $(seq 50); do document "ld-$n" amir@cedar.example; done >"$dir/last.ndjson"
check "150 more events" 202 "$(post "$key" "$dir/last.ndjson")"
stop_all "every service drains while events are on their way"
for s in "${services[@]}"; do start "$s"; done
for s in "${services[@]}"; do await 180 "$s" health "$s" || give_up "$s did not become healthy again"; done
await 180 "Tasks" has Task 220 && await 120 "rows" has Engagement__c 240 || true
# What is doubled comes late: wait until nothing is under way any more.
idle() {
  local s
  for s in "${services[@]}"; do metrics "$s" || return 1; done >"$dir/metrics.txt"
  awk '/^throughline_stage_lag/ { n += $NF } END { exit n > 0 }' "$dir/metrics.txt"
}
await 120 "the stages" idle || { row MISS "every stage has handled all there is" "not within 2 minutes"; missed=1; }
check "after the start, every Task is there, once" "220 220" "$(records Task) $(field Task Throughline_Key__c)"
check "after the start, every engagement is there, once" "240 240" "$(records Engagement__c) $(field Engagement__c External_Id__c)"
stop_all "every service drains when idle"
check "no service logged an error" 0 "$(cat "$dir"/{config,writer-1,writer-2,mapping,identity,visits,sync,ingest,console}.log | grep -c '"level":"ERROR"' || true)"

echo; printf '%s\n' "${table[@]}"
printf '\n%d checks in %ss, %s\n' "${#table[@]}" "$SECONDS" "$([ $missed = 0 ] && echo 'all as they should be' || echo 'SOMETHING IS MISSING')"
exit $missed
