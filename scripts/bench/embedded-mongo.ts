/**
 * What the embedded database costs, beside MongoDB's engine at MONGODB_URL in the same run: point reads, durable inserts and
 * conditional updates per second with 1 and 32 in flight, at 1 000 and 100 000 documents, and the longest stall of this
 * thread, which runs the clients of both. `--short` makes it a matter of seconds.
 */
import { startEmbeddedMongo } from '@devpocket/embedded-mongo';
import { type Collection, MongoClient } from 'mongodb';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';

interface Row {
  _id: number;
  name: string;
  owner: number;
  version: number;
  created_at: Date;
  payload: string;
}

type Act = (rows: Collection<Row>, turn: number, size: number) => Promise<unknown>;

const short = process.argv.includes('--short');
const SIZES = short ? [1_000, 10_000] : [1_000, 100_000];
const SECONDS = short ? 0.5 : 3;
const row = (_id: number): Row => ({
  _id,
  name: `name-${_id}`,
  owner: _id % 1000,
  version: 0,
  created_at: new Date(1.7e12 + _id),
  payload: 'x'.repeat(300),
});

let inserted = 1e9;
const ACTS: Readonly<Record<string, Act>> = {
  'read by _id': (rows, turn, size) => rows.findOne({ _id: (turn * 7919) % size }),
  'read by a unique field': (rows, turn, size) => rows.findOne({ name: `name-${(turn * 7919) % size}` }),
  'newest of an owner': (rows, turn) =>
    rows
      .find({ owner: turn % 1000 })
      .sort({ created_at: -1 })
      .limit(1)
      .toArray(),
  'durable insert': (rows) => rows.insertOne(row(inserted++)),
  'conditional update': (rows, turn, size) =>
    rows.updateOne(
      { _id: (turn * 7919) % size, version: { $gte: 0 } },
      { $inc: { version: 1 }, $set: { payload: 'y'.repeat(300) } },
    ),
};

async function fill(rows: Collection<Row>, size: number): Promise<void> {
  await rows.deleteMany({});
  await rows.createIndexes([{ key: { name: 1 }, unique: true }, { key: { owner: 1, created_at: -1 } }]);
  for (let at = 0; at < size; at += 1000) await rows.insertMany(Array.from({ length: 1000 }, (_, each) => row(at + each)));
}

/** Acts per second, and the longest time this thread did not turn its event loop, in ms. */
async function measure(
  rows: Collection<Row>,
  act: Act,
  size: number,
  inFlight: number,
): Promise<{ rate: number; stall: number }> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  let turn = 0;
  const begin = performance.now();
  const end = begin + SECONDS * 1000;
  delay.enable();
  const lane = async (): Promise<void> => {
    while (performance.now() < end) await act(rows, turn++, size);
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  delay.disable();
  return { rate: turn / ((performance.now() - begin) / 1000), stall: delay.max / 1e6 };
}

async function main(): Promise<void> {
  const url = process.env.MONGODB_URL;
  if (!url) throw new Error('MONGODB_URL is not set: there is nothing to compare with');
  const directory = mkdtempSync(join(tmpdir(), 'bench-'));
  const embedded = await startEmbeddedMongo({ directory });
  const clients = [embedded.url, url].map((each) => new MongoClient(each, { retryWrites: false, writeConcern: { j: true } }));
  const [ours, theirs] = clients.map((client) => client.db('bench_embedded').collection<Row>('rows')) as [
    Collection<Row>,
    Collection<Row>,
  ];
  const base = new Map<string, number>();
  console.log('act                     documents  in flight  embedded/s  MongoDB/s  ratio  of first size  stall ms (MongoDB)');
  for (const size of SIZES) {
    await fill(ours, size);
    await fill(theirs, size);
    for (const [name, act] of Object.entries(ACTS)) {
      for (const inFlight of [1, 32]) {
        const one = await measure(ours, act, size, inFlight);
        const other = await measure(theirs, act, size, inFlight);
        const key = `${name} ${inFlight}`;
        if (!base.has(key)) base.set(key, one.rate);
        console.log(
          [
            name.padEnd(23),
            String(size).padStart(9),
            String(inFlight).padStart(10),
            one.rate.toFixed(0).padStart(11),
            other.rate.toFixed(0).padStart(10),
            (one.rate / other.rate).toFixed(2).padStart(6),
            (one.rate / (base.get(key) ?? one.rate)).toFixed(2).padStart(14),
            `${one.stall.toFixed(1)} (${other.stall.toFixed(1)})`.padStart(19),
          ].join(' '),
        );
      }
    }
  }
  await theirs.deleteMany({});
  for (const client of clients) await client.close();
  await embedded.close();
  rmSync(directory, { recursive: true, force: true });
}

void main();
