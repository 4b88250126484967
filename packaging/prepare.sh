# Sourced by packaging/quickstart and tests/run: what a fresh Debian lacks, installed by name.
# Nothing here runs twice: each step looks first.

BELFRY_CACHE=${BELFRY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/belfry}
export BELFRY_CACHE
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$BELFRY_CACHE/target}
mkdir -p "$BELFRY_CACHE"

# The oldest Node that the client's bundler runs on.
NODE_MAJOR_MIN=20
# Debian packages that the build needs: C and C++ for aws-lc and SQLite, libsystemd for readiness.
BUILD_PACKAGES="build-essential cmake pkg-config libsystemd-dev nodejs npm ca-certificates"

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
    die "This needs root to install Debian packages: run it as root or install sudo."
  fi
}

# need_debian PACKAGE...: installs those that are missing; prints the list first.
need_debian() {
  local missing=() package
  for package in "$@"; do
    if [ "$package" = nodejs ] && command -v node >/dev/null; then continue; fi
    if [ "$package" = npm ] && command -v npm >/dev/null; then continue; fi
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return 0
  say "Debian packages to install: ${missing[*]}"
  as_root apt-get update -qq || die "apt-get update failed: check this machine's package sources."
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >"$BELFRY_CACHE/apt.log" 2>&1 ||
    die "apt-get could not install ${missing[*]}: see $BELFRY_CACHE/apt.log."
}

need_rust() {
  [ -d "$HOME/.cargo/bin" ] && PATH="$HOME/.cargo/bin:$PATH"
  command -v cargo >/dev/null || die "No Rust toolchain: install one (rustup or Debian's) of version 1.95 or newer, then start again."
}

# Debian 12 ships an older Node; a newer one comes from the npm package of that name.
need_node() {
  local folder=$BELFRY_CACHE/node
  local major; major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
  if [ "$major" -lt "$NODE_MAJOR_MIN" ]; then
    [ -x "$folder/node_modules/node/bin/node" ] || {
      say "npm package to install: node@22 (this machine's Node is older than $NODE_MAJOR_MIN)"
      npm install --silent --no-audit --no-fund --prefix "$folder" node@22 >/dev/null || die "npm could not install node@22."
    }
    PATH="$folder/node_modules/node/bin:$PATH"
  fi
  export PATH
}

# Checkouts share the cache. Cargo tells what is fresh by times alone, so what another checkout built could pass for ours:
# after a change of checkout all our own sources count as new. Dependencies stay.
own_sources() {
  local stamp=$CARGO_TARGET_DIR/checkout
  [ "$(cat "$stamp" 2>/dev/null)" = "$PWD" ] && return 0
  find appliance compliance admin-ui tests -name '*.rs' -not -path '*/node_modules/*' -exec touch -c {} +
  mkdir -p "$CARGO_TARGET_DIR" && printf '%s' "$PWD" >"$stamp"
}

prepare_build() {
  # shellcheck disable=SC2086 # a list of words
  need_debian $BUILD_PACKAGES
  need_rust
  need_node
  own_sources
}
