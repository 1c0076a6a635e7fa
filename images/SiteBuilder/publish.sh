#!/bin/sh
# Publishes a folder of pages at once: a visitor gets the site of before or the new one, and nothing between.
#
#   publish.sh FOLDER [NAME]
#
# In the volume (SITE, /srv/site) each publication is a folder of its own, builds/TIME-NAME, and `current` a link to
# the newest, which one rename changes. NginxStatic serves what `current` leads to. The one before stays, to go back to:
# ln -sfn builds/TIME-NAME /srv/site/current. Publishes nothing without an index.html.
set -eu

site=${SITE:-/srv/site}
folder=$1
name=$(printf '%s' "${2:-site}" | tr -c 'A-Za-z0-9._-' -)

fail() {
    echo "publish: $*" >&2
    exit 1
}
[ -s "$folder/index.html" ] || fail "there is no index.html in what was built, or it is empty"
[ -w "$site" ] ||
    fail "$site is not writable for user $(id -u); mount a volume there that this user owns (a new one does)"

# Two at once would remove each other's folders.
exec 9> "$site/.lock"
flock -w 300 9 || fail "another publication has been running for 300 s"
rm -rf "$site"/.new-*
new=$site/.new-$$
cp -R "$folder" "$new"
chmod -R u+w,a+rX "$new"
# On the disk before it is served: a power cut must not leave empty pages.
sync -f "$new"
mkdir -p "$site/builds"
before=$(readlink "$site/current" || true)
build=builds/$(date -u +%Y%m%dT%H%M%SZ)-$name
while [ -e "$site/$build" ]; do build=$build-again; done
mv "$new" "$site/$build"
ln -s "$build" "$site/.new-link"
mv -T "$site/.new-link" "$site/current"
for old in "$site"/builds/*; do
    case builds/${old##*/} in
        "$build" | "$before") ;;
        *) rm -rf "$old" ;;
    esac
done
echo "publish: $build, $(find "$site/$build" -type f | wc -l) files"
