#!/usr/bin/env bash
# Runs the tests of one package again and again, several at a time, with the race detector, on one processor and on two, and freezes
# them for moments in between, as a busy machine does. Prints how often each test failed; exits with 1 when one did.
#   deploy/stress.sh <package> [rounds] [name of tests, a regular expression]
#   JOBS=4 FREEZE=0 deploy/stress.sh ./services/writer 20 TestRowsOfReports
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -lt 1 ]; then sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; fi
package=$1 rounds=${2:-5} name=${3:-.} jobs=${JOBS:-3} freeze=${FREEZE:-1}
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

CGO_ENABLED=1 go test -c -race -gcflags=modernc.org/...=-d=checkptr=0 -o "$work/tests" "$package"
[ -e "$work/tests" ] || { echo "$package has no tests"; exit 0; }
directory=$(go list -f '{{.Dir}}' "$package")

# round runs all tests once, in an order of its own, and keeps what a failed run said.
round() {
  local out=$work/$1.out
  (cd "$directory" && exec "$work/tests" -test.run "$name" -test.shuffle=on -test.cpu $(($1 % 2 + 1)) -test.timeout 20m) >"$out" 2>&1 &
  local pid=$!
  if [ "$freeze" != 0 ]; then
    while sleep "$((RANDOM % 3)).$((RANDOM % 10))"; kill -STOP "$pid" 2>/dev/null; do
      sleep "0.$((RANDOM % 9 + 1))"
      kill -CONT "$pid" 2>/dev/null || break
    done &
  fi
  local freezer=$!
  if wait "$pid"; then rm "$out"; else mv "$out" "$work/$1.failed"; fi
  [ "$freezer" = "$pid" ] || kill "$freezer" 2>/dev/null || true
}

for ((n = 1; n <= rounds; n++)); do
  while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n || true; done
  round "$n" &
done
wait || true

if ! compgen -G "$work/*.failed" >/dev/null; then
  echo "$package: $rounds rounds, none failed"
  exit 0
fi
kept=$(mktemp -d)
cp "$work"/*.failed "$kept"
echo "$package: $(ls "$kept" | wc -l) of $rounds rounds failed; what they said is in $kept"
grep -hE '^ *(--- FAIL:|panic:|WARNING: DATA RACE)' "$kept"/*.failed | sed 's/ ([0-9.]*s)$//' | sort | uniq -c | sort -rn
exit 1
