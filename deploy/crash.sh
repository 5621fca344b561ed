#!/usr/bin/env bash
# The demo, killed with -9 and restarted: every run continues in the data folder the last one left, wherever it was killed,
# and the last one must find nothing lost and nothing doubled. KILLS=5 EVENTS=100000 RATE=12000 deploy/crash.sh
set -euo pipefail
cd "$(dirname "$0")/.."

kills=${KILLS:-5} events=${EVENTS:-100000} rate=${RATE:-12000} seed=${SEED:-1}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# The demo tells in this file how many events it has sent and how many records are written.
progress() { sed -nE "s/.*\"$1\": *([0-9]+).*/\1/p" "$dir/progress.json" 2>/dev/null || true; }
number() { local n; n=$(progress "$1"); echo "${n:-0}"; }

for ((kill = 1; kill <= kills; kill++)); do
  # Killed when its share of the events is sent, and not before it has written something itself.
  target=$((events * kill / (kills + 2)))
  rm -f "$dir/progress.json"
  bin/throughline demo --dir "$dir" --events "$events" --rate "$rate" --seed "$seed" >"$dir/run-$kill.log" 2>&1 &
  pid=$!
  while sent=$(number sent); now=$(number written); [ "$sent" -lt "$target" ] || [ "$now" -lt 100 ]; do
    kill -0 "$pid" 2>/dev/null || { echo "the demo ended by itself before it could be killed:"; tail -n 30 "$dir/run-$kill.log"; exit 1; }
    sleep 0.05
  done
  kill -9 "$pid"; wait "$pid" 2>/dev/null || true
  printf 'kill -9 number %d: after %s of %s events sent, %s records written since the last\n' "$kill" "$(number sent)" "$events" "$(number written)"
done

echo "and now to the end:"
bin/throughline demo --dir "$dir" --events "$events" --rate "$rate" --seed "$seed"
