# What the scripts share; sourced, never run. Sets `root`, goes there, and points ccache at one cache
# that serves every checkout.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

cores=$(nproc)
berth_cache=${XDG_CACHE_HOME:-$HOME/.cache}/berth

# Paths below the checkout count relative to it, so that a fresh clone elsewhere finds the objects.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-10G}

# configure PRESET [ARGUMENT...]: quiet unless it fails.
configure() {
  local preset=$1 log
  shift
  mkdir -p build
  log=build/configure-$preset.log
  if ! cmake --preset "$preset" "$@" >"$log" 2>&1; then
    cat "$log" >&2
    return 1
  fi
}

# Makes, once for each state of tests/requirements.lock, the Python environment of the tests and
# benchmarks. Sets `venv`.
test_venv() {
  local lock=tests/requirements.lock
  venv=$berth_cache/venv/$(sha256sum "$lock" | cut -c1-16)
  [ -e "$venv/complete" ] && return 0
  rm -rf "$venv"
  mkdir -p "$(dirname "$venv")"
  python3 -m venv "$venv" || {
    echo "python3 -m venv failed: apt-get install python3-venv" >&2
    return 1
  }
  "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$lock" || return 1
  touch "$venv/complete"
}

# How long since $1, as "3 min 07 s"; $1 is a value of SECONDS.
since() {
  local s=$((SECONDS - $1))
  if [ "$s" -lt 60 ]; then echo "$s s"; else printf '%d min %02d s\n' $((s / 60)) $((s % 60)); fi
}
