# Sourced from the repository root: installs the pinned clients, unless they are there, and sets dir to their folder.
dir=${CLIENTS_DIR:-.build/clients}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

# current says whether an install was made from these files; stamp notes it.
current() { [ -f "$dir/$1.sum" ] && sha256sum --check --status "$dir/$1.sum"; }
stamp() { local name=$1; shift; sha256sum "$@" >"$dir/$name.sum"; }

# again runs a command that fetches something, up to four times: a registry is away for a moment now and then.
again() {
  local wait
  for wait in 5 20 60; do
    "$@" && return
    sleep "$wait"
  done
  "$@"
}

if ! current node; then
  echo "installing the npm clients"
  cp deploy/clients/package.json deploy/clients/package-lock.json "$dir"
  (cd "$dir" && again npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
  stamp node deploy/clients/package.json deploy/clients/package-lock.json
fi
if ! current python; then
  echo "installing the Python clients"
  python3 -m venv "$dir/venv"
  again "$dir/venv/bin/pip" install --quiet --disable-pip-version-check -r deploy/clients/requirements.txt
  stamp python deploy/clients/requirements.txt
fi
