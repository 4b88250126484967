# Sourced by the suites. `scenario ID TITLE COMMAND...` runs a command and reports it.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
export BELFRY_FULL=${BELFRY_FULL:-0}
. packaging/prepare.sh

scenario() {
  local id=$1 title=$2; shift 2
  local verdict=FAIL; "$@" && verdict=ok
  # On a line of its own, whatever the command printed last.
  printf '\nscenario %s %s %s\n' "$id" "$verdict" "$title"
}

# The browsers' kit, installed in the cache; its folder is in $kit.
browser_kit() {
  need_debian chromium firefox-esr libnss3-tools iproute2 openssl
  kit=$BELFRY_CACHE/browser
  mkdir -p "$kit" && cp -r tests/browser/. "$kit/" && (cd "$kit" && npm ci --silent --ignore-scripts --no-audit --no-fund) || return 1
}

# The release build of the appliance; its path is in BELFRY_BINARY.
build_appliance() {
  cargo build --quiet --release --locked -p belfry-daemon || return 1
  export BELFRY_BINARY=$CARGO_TARGET_DIR/release/belfry
}

# Python with the packages of tests/signalling/requirements.txt; the interpreter is in $python.
python_kit() {
  need_debian python3 python3-venv
  local venv=$BELFRY_CACHE/venv
  python=$venv/bin/python
  [ -x "$python" ] || python3 -m venv "$venv" || return 1
  "$python" -m pip install --quiet --disable-pip-version-check -r tests/signalling/requirements.txt
}
