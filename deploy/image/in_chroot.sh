#!/bin/sh
# Make what deploy/Dockerfile makes where no container engine is: the same steps, in a Debian of debootstrap.
#
#   deploy/image/in_chroot.sh FOLDER [LOCK LIMIT_MB]    as root, with debootstrap; FOLDER/image is the image's file system
#
# It differs from the image in its base: debootstrap's minbase, which keeps packages' documents, for debian:trixie-slim.
set -eu
[ "$(id -u)" = 0 ] || { echo "in_chroot.sh: only root may change its root folder" >&2; exit 2; }
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=${1:?"in_chroot.sh: give the folder to work in"}
suite=$(sed -n 's/^ARG DEBIAN=\([a-z]*\)-slim.*/\1/p' "$root/deploy/Dockerfile")
lock=${2:-$(sed -n 's/^ARG LOCK=//p' "$root/deploy/Dockerfile")}
limit=${3:-$(sed -n 's/^ARG LIMIT_MB=//p' "$root/deploy/Dockerfile")}
mkdir -p "$folder"
[ -d "$folder/base" ] || debootstrap --variant=minbase "$suite" "$folder/base"

# In a mount namespace of its own, so that nothing stays mounted. Certificates of this machine, should it have its own.
in_root() {
  unshare --mount --pid --fork sh -eu -c '
    base=$1; shift
    mount --bind /etc/resolv.conf "$base/etc/resolv.conf" 2>/dev/null || cp /etc/resolv.conf "$base/etc/resolv.conf"
    mount -t proc proc "$base/proc"
    mount -t devpts devpts "$base/dev/pts"
    mount -t tmpfs tmpfs "$base/tmp"
    mkdir "$base/tmp/of-this-machine"
    cp "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$base/tmp/of-this-machine/ca.crt"
    exec chroot "$base" env --unset=PIP_CERT --unset=PIP_FIND_LINKS \
      SSL_CERT_FILE=/tmp/of-this-machine/ca.crt REQUESTS_CA_BUNDLE=/tmp/of-this-machine/ca.crt DEBIAN_FRONTEND=noninteractive \
      sh -eu -c "cd /source && deploy/image/steps.sh \"\$@\"" sh "$@"
  ' sh "$@"
}
copy() {
  rm -rf "$2"
  cp -a "$1" "$2"
  mkdir "$2/source"
}
if [ ! -d "$folder/system" ]; then # both stages begin like this
  copy "$folder/base" "$folder/unfinished"
  cp -a "$root/deploy" "$folder/unfinished/source/deploy"
  in_root "$folder/unfinished" system
  rm -rf "$folder/unfinished/source"
  mv "$folder/unfinished" "$folder/system"
fi
echo "== build"
copy "$folder/system" "$folder/build"
# What the Dockerfile copies; deploy/Dockerfile.dockerignore leaves out the same.
(cd "$root" && git ls-files --cached --others --exclude-standard -z | tar --create --null --files-from -) |
  tar --extract --directory "$folder/build/source"
in_root "$folder/build" tools /opt/tools
in_root "$folder/build" dependencies /opt/tools /opt/router "$lock"
in_root "$folder/build" package /opt/tools /opt/router
in_root "$folder/build" slim /opt/router
echo "== image"
copy "$folder/system" "$folder/image"
cp -a "$root/deploy" "$folder/image/source/deploy"
in_root "$folder/image" user
cp -a "$folder/build/opt/router" "$folder/image/opt/router"
in_root "$folder/image" check /opt/router "$limit"
rm -rf "$folder/image/source"
# As registries keep and send it, but in one layer.
tar --create --directory "$folder/image" . | gzip | wc -c | awk '{ printf "compressed by gzip: %.0f MB\n", $1 / 1e6 }'
