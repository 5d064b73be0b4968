import { ACCEPTED } from '../src/accepted';

/** What a recorded suite tells of the table of accepted things. */
export interface Judgement {
  /** Asked for and refused: to be accepted, or to be asked for no more. */
  readonly refused: readonly string[];
  /** Accepted and never asked for: to be dropped. */
  readonly unused: readonly string[];
}

/** What drivers send in passing, Mongoose's index sync, and whoever looks inside: accepted though no suite is sure to send it. */
const FOR_ANY_CLIENT: ReadonlySet<string> = new Set([
  'command ping',
  'command buildInfo',
  'command getMore',
  'command.getMore collection',
  'command.getMore batchSize',
  'command.find batchSize',
  'command dropIndexes',
  'command.dropIndexes index',
  'command killCursors',
  'command.killCursors cursors',
  'command.endSessions writeConcern',
  'command listDatabases',
  'command.listDatabases nameOnly',
  'command explain',
  'command.explain verbosity',
  ...Object.keys(ACCEPTED.commands).map((name) => `command.${name} writeConcern`),
]);

/** @param record lines of `recordFile`, of one server or of many */
export function judge(record: Iterable<string>): Judgement {
  const seen = new Set([...record].map((line) => line.trim()).filter((line) => line !== ''));
  const { commands, general: _, ...rooms } = ACCEPTED;
  const accepted = [
    ...Object.entries(commands).flatMap(([name, fields]) => [
      `command ${name}`,
      ...(fields ?? []).map((field) => `command.${name} ${field}`),
    ]),
    ...Object.entries(rooms).flatMap(([room, names]) => names.map((name) => `${room} ${name}`)),
  ];
  return {
    refused: [...seen].filter((entry) => entry.startsWith('refused ')).sort(),
    unused: accepted.filter((entry) => !seen.has(entry) && !FOR_ANY_CLIENT.has(entry)),
  };
}
