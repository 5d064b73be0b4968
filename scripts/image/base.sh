#!/usr/bin/env bash
# base.sh TAG: makes an image that stands in for node:26-bookworm-slim where nothing can be pulled: Debian's smallest system with the Node
# that `npm ci` installed, npm, and this machine's certificate authorities. For root on Debian with debootstrap. Does nothing when
# the engine at DOCKER_HOST has the tag already.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
TAG=${1:?base.sh TAG}
! docker image inspect "$TAG" >/dev/null 2>&1 || exit 0

WORK=$(mktemp -d)
trap 'rm -rf --one-file-system "$WORK"' EXIT
ROOT=$WORK/root
MIRROR=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
debootstrap --variant=minbase --include=libatomic1,libstdc++6 bookworm "$ROOT" "$MIRROR" >"$WORK/log" 2>&1 || {
  tail -n 20 "$WORK/log" >&2
  exit 1
}
# As bookworm-slim has it: no lists of packages, no documents, no messages of other languages.
rm -rf "$ROOT"/var/cache/apt/* "$ROOT"/var/lib/apt/lists/* "$ROOT"/var/log/* "$ROOT"/usr/share/{doc,man,info,locale}/*
mkdir -p "$ROOT/usr/local/lib/node_modules" "$ROOT/etc/ssl/certs"
install -m 755 "$(npx --no-install node -p process.execPath)" "$ROOT/usr/local/bin/node"
cp -r "$(npm root --global)/npm" "$ROOT/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$ROOT/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$ROOT/usr/local/bin/npx"
cp /etc/ssl/certs/ca-certificates.crt "$ROOT/etc/ssl/certs/ca-certificates.crt"
chroot "$ROOT" groupadd --gid 1000 node
chroot "$ROOT" useradd --uid 1000 --gid node --create-home --shell /bin/bash node
tar -C "$ROOT" --numeric-owner --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' -c . |
  docker import --change 'CMD ["node"]' --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' - "$TAG" >/dev/null
