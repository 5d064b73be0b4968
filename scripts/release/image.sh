#!/bin/sh
# image.sh build VERSION | push VERSION CHANNEL: the release's image, `$IMAGE:VERSION`. The channel is a tag that moves.
set -eu
[ -n "${IMAGE:-}" ] || { echo 'IMAGE is not set: no image' && exit 0; }
case $1 in
  build) docker build --tag "$IMAGE:$2" . ;;
  push)
    channel=$(printf %s "$3" | tr -c 'A-Za-z0-9_.-' '-')
    docker tag "$IMAGE:$2" "$IMAGE:$channel"
    docker push "$IMAGE:$2"
    docker push "$IMAGE:$channel"
    # For the job that deploys it.
    [ -z "${GITHUB_OUTPUT:-}" ] || echo "version=$2" >>"$GITHUB_OUTPUT"
    ;;
esac
