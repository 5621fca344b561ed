#!/usr/bin/env bash
# Everything that is generated or derived is up to date, and the contract only grew. Called by `make verify`.
set -euo pipefail
cd "$(dirname "$0")/.."

fail=0
check() { # name, command…
  local name=$1; shift
  if out=$("$@" 2>&1); then printf '  ok    %s\n' "$name"; else printf '  FAIL  %s\n%s\n' "$name" "$out"; fail=1; fi
}

generated_is_current() {
  local copy; copy=$(mktemp -d); trap 'rm -rf "$copy"' RETURN
  cp -r proto libs/eventbus services/config/internal/gateway docs/packages.md "$copy/"
  buf generate && buf generate --template buf.gen.http.yaml \
    && openapi services/config/internal/gateway/config.swagger.json && packages
  diff -r proto "$copy/proto" && diff -r libs/eventbus "$copy/eventbus" && diff -r services/config/internal/gateway "$copy/gateway" \
    && diff docs/packages.md "$copy/packages.md" \
    || { echo "generated files were stale; they are rewritten now, commit them"; return 1; }
}
modules_are_tidy() { local m; for m in proto libs services; do (cd "$m" && GOWORK=off go mod tidy -diff) || return 1; done; }
modules_build_alone() { local m; for m in proto libs services; do (cd "$m" && GOWORK=off go build ./...) || return 1; done; }
# The contract as last released; rewritten on purpose by `buf build proto -o proto/released.binpb`.
contract_only_grew() { buf breaking proto --against proto/released.binpb; }
formatted() { local bad; bad=$(git ls-files '*.go' | grep -vE '\.pb(\.gw)?\.go$' | xargs gofmt -l); [ -z "$bad" ] || { echo "$bad"; return 1; }; }
every_requirement_has_a_row() {
  local missing; missing=$(comm -23 <(tail -n +2 docs/requirements.tsv | cut -f1 | sort) <(grep -oE '^\| [A-Z]+-[0-9]+ ' docs/requirements.md | tr -d '| ' | sort))
  [ -z "$missing" ] || { echo "no row for: $missing; run make requirements"; return 1; }
}
promises_are_cited() {
  local n; for n in 1 2 3 4 5 6 7 8 9; do
    grep -rqE --include='*.go' "Promise $n\b" libs services || { echo "no line of code cites promise $n"; return 1; }
  done
}

check "generated code and docs/packages.md" generated_is_current
check "proto only grew since the last release" contract_only_grew
check "modules are tidy" modules_are_tidy
check "modules build without the workspace" modules_build_alone
check "formatted" formatted
check "every requirement has a row" every_requirement_has_a_row
check "every promise is cited by the line that keeps it" promises_are_cited
exit $fail
