#!/bin/sh
# start.sh [ARGUMENT…]: the quick start of docker-compose.yml. Makes the secrets that .env does not have yet (and changes nothing that it has),
# starts everything and waits until it serves. Arguments go to `up`, for example: --scale devpocket-api=3
set -eu
cd "$(dirname "$0")/.."

ENV_FILE=.env
WAIT_SECONDS=${WAIT_SECONDS:-300}

say() { printf '%s\n' "$*"; }
die() {
  printf 'start.sh: %s\n' "$*" >&2
  exit 1
}

# What is asked of the machine.
command -v docker >/dev/null 2>&1 || die 'there is no docker here: https://docs.docker.com/engine/install/'
if docker compose version >/dev/null 2>&1; then
  compose() { docker compose "$@"; }
  COMPOSE='docker compose'
elif command -v docker-compose >/dev/null 2>&1; then
  compose() { docker-compose "$@"; }
  COMPOSE=docker-compose
else
  die 'docker has no compose here: https://docs.docker.com/compose/install/'
fi
docker info >/dev/null 2>&1 ||
  die "the engine does not answer at ${DOCKER_HOST:-unix:///var/run/docker.sock}: is it started, and may this user call it (group docker)?"

# Secrets.
[ -e "$ENV_FILE" ] || (umask 077 && : >"$ENV_FILE")
if ! { [ -f "$ENV_FILE" ] && [ -r "$ENV_FILE" ] && [ -w "$ENV_FILE" ]; }; then die "$ENV_FILE cannot be read and written by this user"; fi
chmod 600 "$ENV_FILE"

random_hex() { # 64 hex digits
  od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

value_of() { # value_of NAME: what .env says last, without quotes
  sed -n "s/^[[:space:]]*\(export[[:space:]]\{1,\}\)\{0,1\}$1=//p" "$ENV_FILE" | tail -n 1 | tr -d "\"'" | sed 's/[[:space:]]*$//'
}

ensure() { # ensure NAME: a line for NAME where there is none with a value
  [ -z "$(value_of "$1")" ] || return 0
  # What was written before may end without a line's end.
  [ -z "$(tail -c 1 "$ENV_FILE")" ] || printf '\n' >>"$ENV_FILE"
  printf '%s=%s\n' "$1" "$(random_hex)" >>"$ENV_FILE"
  say "made $1 in $ENV_FILE"
}
for name in SECRET_KEY ENCRYPTION_KEY MONGO_PASSWORD REDIS_PASSWORD; do ensure "$name"; done
for name in MONGO_PASSWORD REDIS_PASSWORD; do
  case $(value_of "$name") in
    *[!A-Za-z0-9_-]*) die "$name in $ENV_FILE may have letters, digits, - and _ alone: it is part of an address" ;;
  esac
done

compose up --detach "$@"

# Until somebody outside is served.
PORT=$(value_of HTTP_PORT)
PORT=${PORT:-80}
URL=http://127.0.0.1:${PORT##*:}
# The server's image has what it takes to ask; the machine may not.
ready() {
  compose exec -T devpocket-api node -e "
    const ask = (url) => fetch(url, { signal: AbortSignal.timeout(5000) }).then((r) => r.ok, () => false);
    Promise.all([ask('http://127.0.0.1:8000/health/ready'), ask('http://nginx:8080/health')]).then((all) => process.exit(all.every(Boolean) ? 0 : 1));
  " >/dev/null 2>&1
}
say "waiting until it serves, at most $WAIT_SECONDS s"
BEGUN=$(date +%s)
until ready; do
  if [ $(($(date +%s) - BEGUN)) -ge "$WAIT_SECONDS" ]; then
    compose ps >&2
    compose logs --tail=20 devpocket-api >&2
    die "not ready after $WAIT_SECONDS s. What was said above may tell why; more: $COMPOSE logs, and $COMPOSE exec devpocket-api devpocket doctor"
  fi
  sleep 1
done

cat <<END

DevPocket serves at $URL (after $(($(date +%s) - BEGUN)) s)

  an account       curl $URL/api/v1/auth/register -H 'content-type: application/json' \\
                     -d '{"username":"ada","email":"ada@example.com","password":"Correct-horse-1"}'
  an administrator $COMPOSE exec devpocket-api devpocket user promote ada
  what is wrong    $COMPOSE exec devpocket-api devpocket doctor
  logs             $COMPOSE logs --follow devpocket-api
  certificates     scripts/nginx/tls/README.md
  the end          $COMPOSE down   (data stays; with --volumes it goes)

Keep $ENV_FILE: without ENCRYPTION_KEY no secret at rest can be opened again.
END
