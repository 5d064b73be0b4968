/** Lines of the container's log that begin so are ours, the others the environment's. */
export const SYSTEM_MARK = 'devpocket: ';

/** Hidden from the environment's shells: a folder that only the startup container mounts. */
export const STATE_PATH = '/devpocket';
export const WORKSPACE_PATH = '/workspace';
/** Is there from the moment that the startup commands began; holds what went wrong with them, or nothing. */
export const STARTUP_FILE = `${STATE_PATH}/startup`;

/**
 * The first process. Keeps the container alive, takes over and reaps what others leave behind (a shell's `wait` reaps every
 * child), and on SIGTERM asks all others to end, shells by SIGHUP since they do not heed SIGTERM, and goes when they
 * have gone; the runtime's SIGKILL ends what stays. Needs nothing but a POSIX shell, `sleep` and `kill`.
 */
export const FIRST_PROCESS = `
name=$1
bye() {
  trap '' TERM HUP
  echo '${SYSTEM_MARK}Stopping'
  kill -TERM -1 2>/dev/null
  kill -HUP -1 2>/dev/null
  kill -CONT -1 2>/dev/null
  while kill -0 -1 2>/dev/null; do sleep 0.05 2>/dev/null || sleep 1; done
  exit 0
}
trap bye TERM
trap : HUP INT
echo "${SYSTEM_MARK}Started $name"
while :; do
  sleep 86400 &
  wait $!
done
`;

/**
 * Runs the startup commands, once in the life of the volume, and leaves what went wrong in the file and, where there is one, as the
 * container's message. It ends well in any case, so that the environment starts; a later start repeats the message and runs nothing.
 */
export const STARTUP_PROCESS = `
state=${STARTUP_FILE}
tell() {
  { cat "$state" >/dev/termination-log; } 2>/dev/null
}
trap 'kill -TERM -1 2>/dev/null; exit 143' TERM
if [ -e "$state" ]; then
  tell
  exit 0
fi
: >"$state" || exit 70
cd ${WORKSPACE_PATH} || exit 70
for command in "$@"; do
  /bin/sh -c "$command" &
  wait $!
  code=$?
  if [ "$code" -ne 0 ]; then
    printf 'A startup command ended with code %s: %.200s' "$code" "$command" >"$state"
    tell
    break
  fi
done
exit 0
`;

/** A terminal's shell, in the place of what runs it. */
export const SHELL_PROCESS = `
export TERM=xterm-256color
cd ${WORKSPACE_PATH} 2>/dev/null
if command -v bash >/dev/null 2>&1; then SHELL=$(command -v bash); export SHELL; exec bash -i; fi
export SHELL=/bin/sh
exec /bin/sh -i
`;
