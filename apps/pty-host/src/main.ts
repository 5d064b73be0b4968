/*
 * The process that holds the shells of the local runtime, with their sessions and their clients' connections: apart from the server, so
 * that they outlive it and that its forks are fast whatever the server weighs.
 */
import { SystemClock } from '@devpocket/kernel';
import { runHost } from '@devpocket/runtime-local';
import { type SessionCall, SessionServer } from '@devpocket/terminal-session';

runHost(process.argv.slice(2), (needs) => {
  const sessions = new SessionServer(needs, new SystemClock());
  return {
    answer: (message) => sessions.answer(message as SessionCall),
    lost: () => sessions.lost(),
  };
});
