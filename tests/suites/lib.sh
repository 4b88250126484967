# Sourced by the suites. `scenario ID TITLE COMMAND...` runs a command and reports it.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
export BELFRY_FULL=${BELFRY_FULL:-0}
. packaging/prepare.sh

scenario() {
  local id=$1 title=$2; shift 2
  if "$@"; then say "scenario $id ok $title"; else say "scenario $id FAIL $title"; fi
}
