import { ACCEPTED, FIELDS } from '../src/accepted';

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
  'getMore collection',
  'getMore batchSize',
  'find batchSize',
  'command dropIndexes',
  'dropIndexes index',
  'command killCursors',
  'killCursors cursors',
  'command explain',
  'explain verbosity',
  'listCollections cursor',
  'listIndexes cursor',
  ...Object.keys(ACCEPTED.commands).map((name) => `${name} writeConcern`),
]);

/** @param record lines of `recordFile`, of one server or of many */
export function judge(record: Iterable<string>): Judgement {
  const seen = new Set([...record].map((line) => line.trim()).filter((line) => line !== ''));
  const { commands, query, update, stage, accumulator } = ACCEPTED;
  const accepted = [
    ...Object.keys(commands).map((name) => `command ${name}`),
    ...Object.entries(FIELDS).flatMap(([where, kinds]) => Object.keys(kinds ?? {}).map((name) => `${where} ${name}`)),
    ...Object.entries({ query, update, stage, accumulator }).flatMap(([room, names]) => names.map((name) => `${room} ${name}`)),
  ];
  return {
    refused: [...seen].filter((entry) => entry.startsWith('refused ')).sort(),
    unused: accepted.filter((entry) => !seen.has(entry) && !FOR_ANY_CLIENT.has(entry)),
  };
}
