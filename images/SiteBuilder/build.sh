#!/bin/bash
# Fetches the newest commit, builds the site, and publishes it by publish.sh. Whatever fails, the site of before stays.
#
#   SOURCE    URL of the repository, https://git.example.org/me/site.git
#   BRANCH    its default branch when left out
#   FOLDER    folder of it that the site is in; its top when left out
#   TOKEN     that may read a private one
#   BASE_URL  https://example.org/, for sites that need to know; the site's own configuration when left out
#   COMMAND   run by bash in the folder, in place of what follows from it; puts the pages into $OUTPUT
#
# Without a COMMAND: a folder with a configuration of Hugo is built by Hugo, another one is published as it is.
# Submodules are not fetched. The exit status is that of the step which failed, its output comes before.
set -euo pipefail

say() { printf 'site: %s\n' "$*"; }
fail() { # STATUS WHAT
    printf 'site: %s; the site of before stays\n' "$2" >&2
    exit "$1"
}
generator() {
    local file
    if [ -n "${COMMAND:-}" ]; then
        echo command
        return
    fi
    for file in {hugo,config}.{toml,yaml,yml,json} config/_default; do
        if [ -e "$file" ]; then
            echo hugo
            return
        fi
    done
    echo plain
}

[ -n "${SOURCE:-}" ] || fail 2 "there is no SOURCE; write the repository's URL into the job's env"
# A job that is started again finds what its last run has left.
work=${TMPDIR:-/tmp}/site-build
rm -rf "$work"
mkdir -p "$work" 2>/dev/null || fail 1 "${TMPDIR:-/tmp} is not writable; a read-only root needs a tmpfs at /tmp"
trap 'rm -rf "$work"' EXIT

export HOME=$work GIT_TERMINAL_PROMPT=0 GIT_CONFIG_NOSYSTEM=1 GIT_ASKPASS=/bin/false
[ -z "${TOKEN:-}" ] || GIT_ASKPASS=/usr/local/bin/askpass.sh
git -c http.lowSpeedLimit=1 -c http.lowSpeedTime=60 clone --quiet --depth 1 ${BRANCH:+--branch "$BRANCH"} \
    -- "$SOURCE" "$work/source" || fail $? "$SOURCE could not be fetched (above)"
commit=$(git -C "$work/source" log -1 --format=%h)
say "$SOURCE at $commit: $(git -C "$work/source" log -1 --format='%s, %cs')"
[ ! -e "$work/source/.gitmodules" ] || say "its submodules are not fetched"
# Neither a COMMAND nor the generator has any use for it.
unset TOKEN
folder=$(realpath -e -- "$work/source/${FOLDER:-.}" 2>/dev/null) || fail 1 "there is no folder ${FOLDER:-.} in it"
case $folder/ in
    "$work/source/"*) ;;
    *) fail 1 "the folder ${FOLDER:-.} lies outside the repository" ;;
esac
cd "$folder"

export OUTPUT=$work/public
mkdir "$OUTPUT"
case $(generator) in
    command)
        bash -c "$COMMAND" || fail $? "COMMAND failed (above)"
        ;;
    hugo)
        hugo --destination "$OUTPUT" --cacheDir "$work/cache" ${BASE_URL:+--baseURL "$BASE_URL"} ||
            fail $? "Hugo could not build it (above)"
        ;;
    plain)
        cp -R . "$OUTPUT"
        rm -rf "$OUTPUT/.git"
        ;;
esac
publish.sh "$OUTPUT" "$commit" || fail $? "it was not published (above)"
