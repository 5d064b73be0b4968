#!/usr/bin/env bash
# What machines and containers are set up with, by the tools that will read it: shell scripts, docker-compose.yml, Prometheus. (nginx reads
# its own in nginx.int-spec.ts.) Needs shellcheck, promtool and docker-compose or its plugin.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT

shellcheck .ci/run scripts/*.sh scripts/*/*.sh

promtool check config scripts/prometheus/prometheus.yml >/dev/null
promtool test rules scripts/prometheus/alerts.test.yml >/dev/null

compose=(docker-compose)
command -v docker-compose >/dev/null || compose=(docker compose)
# In a folder of its own, so that nobody's .env counts.
cp docker-compose.yml "$FOLDER"
cd "$FOLDER"
SECRETS=(SECRET_KEY ENCRYPTION_KEY MONGO_PASSWORD REDIS_PASSWORD)
printf '%s=1\n' "${SECRETS[@]}" >.env
"${compose[@]}" --profile monitoring config --quiet
for secret in "${SECRETS[@]}"; do
  printf '%s=1\n' "${SECRETS[@]/#$secret/NOT_$secret}" >.env
  if said=$("${compose[@]}" config --quiet 2>&1); then
    printf 'docker-compose.yml starts without %s\n' "$secret" >&2
    exit 1
  fi
  grep -q "$secret is not set in .env" <<<"$said" || {
    printf 'without %s it says only: %s\n' "$secret" "$said" >&2
    exit 1
  }
done
echo "deploy: shell scripts, alerts and docker-compose.yml are fit; a start without one of ${#SECRETS[@]} secrets is refused"
