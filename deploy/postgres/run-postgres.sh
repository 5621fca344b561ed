#!/usr/bin/env bash
# Runs a command against a throw-away PostgreSQL server:
#
#   deploy/postgres/run-postgres.sh exec go test ./services/config/...
#
# The server listens on a free loopback port, keeps its data in a temporary directory and is gone when the command ends.
# The command finds it in THROUGHLINE_TEST_POSTGRES. The server's programs are looked for in PATH and where Debian's
# packages put them; POSTGRES_BIN names another directory.
set -euo pipefail

usage() {
  echo "usage: $0 exec <command> [argument...]" >&2
  exit 64
}
[[ ${1:-} == exec && $# -ge 2 ]] || usage
shift

find_bin() {
  local dir
  for dir in "${POSTGRES_BIN:-}" "$(dirname "$(readlink -f "$(command -v initdb || echo /nonexistent/initdb)")")" /usr/lib/postgresql/*/bin; do
    if [[ -n $dir && -x $dir/initdb && -x $dir/postgres ]]; then
      echo "$dir"
      return
    fi
  done
  echo "$0: no PostgreSQL server found; install it (Debian: apt-get install postgresql) or set POSTGRES_BIN" >&2
  exit 69
}
bin=$(find_bin)

# PostgreSQL refuses to run as root.
as_server=()
if [[ $(id -u) == 0 ]]; then
  server_user=postgres
  id "$server_user" >/dev/null 2>&1 || server_user=nobody
  as_server=(setpriv --reuid="$server_user" --regid="$(id -g "$server_user")" --clear-groups --)
fi

dir=$(mktemp -d "${TMPDIR:-/tmp}/throughline-postgres.XXXXXX")
chmod 0755 "$dir"
mkdir "$dir/data" "$dir/socket"
if [[ ${#as_server[@]} -gt 0 ]]; then
  chown -R "$server_user" "$dir"
fi

server=
cleanup() {
  if [[ -n $server ]]; then
    kill -INT "$server" 2>/dev/null || true # fast shutdown
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cd "$dir"
"${as_server[@]}" "$bin/initdb" -D "$dir/data" -U throughline -A trust -E UTF8 --locale=C --no-sync >"$dir/initdb.log" 2>&1 || {
  cat "$dir/initdb.log" >&2
  exit 70
}

free_port() {
  local port
  for _ in $(seq 50); do
    port=$((20000 + RANDOM % 12000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
  echo "$0: no free port found" >&2
  exit 71
}

# start starts the server at a port that is free now, and waits until it is ready; it fails if the server ends before.
start() {
  port=$(free_port)
  : >"$dir/server.log"
  "${as_server[@]}" "$bin/postgres" -D "$dir/data" -h 127.0.0.1 -p "$port" -k "$dir/socket" \
    -c fsync=off -c full_page_writes=off -c max_connections=200 >>"$dir/server.log" 2>&1 &
  server=$!
  for _ in $(seq 1800); do
    ! grep -q "ready to accept connections" "$dir/server.log" || return 0
    kill -0 "$server" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

# Somebody else may take the port in between: then it is another one.
ready=
for _ in 1 2 3; do
  if start; then
    ready=1
    break
  fi
  grep -q "could not bind\|could not create any TCP/IP sockets" "$dir/server.log" || break
done
if [[ -z $ready ]]; then
  echo "$0: PostgreSQL did not start" >&2
  cat "$dir/server.log" >&2
  exit 70
fi
cd "$OLDPWD"

export THROUGHLINE_TEST_POSTGRES="postgres://throughline@127.0.0.1:$port/postgres?sslmode=disable"
"$@"
