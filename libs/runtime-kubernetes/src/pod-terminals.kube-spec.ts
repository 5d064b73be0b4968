import { type TerminalChannel } from '@devpocket/runtime';
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type ApiProxy, reach, TestCluster } from '../testing';

const ID = '0123456789abcdef0000c0de';
const OUT_OF_REACH_MS = 5_000;

function listen(channel: TerminalChannel): { text: string } {
  const heard = { text: '' };
  channel.attach((chunk) => (heard.text += chunk.toString('latin1')));
  channel.allow(Infinity);
  return heard;
}

async function until<T>(look: () => T | null | false): Promise<T> {
  for (;;) {
    const seen = look();
    if (seen !== null && seen !== false) return seen;
    await delay(10);
  }
}

describe('shells in pods', () => {
  let cluster: TestCluster;
  let proxy: ApiProxy;
  beforeEach(async () => {
    cluster = await TestCluster.open('shells');
    proxy = await cluster.proxied();
  });
  afterEach(async () => {
    await proxy.stop();
    await cluster.close();
  });

  it('go on where they were when the API was gone, and for the next server, and end with their pod while nobody sees', async () => {
    const first = await cluster.driver();
    const place = cluster.place(ID);
    await first.start(cluster.spec(ID, 1));
    await reach(first, place, 'running');
    const channel = await first.openTerminal(place, { sessionId: 'one', cols: 80, rows: 24 });
    const heard = listen(channel);
    // What is typed shows up in the file alone: the output is the program's.
    const program = 'seq 300000 & while read -r line; do echo "$line" >> typed; done; wait; echo al""l; exec sh -i';
    await channel.write(Buffer.from(`exec sh -c 'stty -echo; echo pid-$$-; ${program}'\n`));
    const [head, pid] = await until(() => /^[^]*pid-(\d+)-\r\n/.exec(heard.text));
    const lines = Array.from({ length: 3_000 }, (_, index) => `line ${index}\n`);
    let seq = 0;
    const typing = Promise.all(
      lines.map((line) => channel.write(Buffer.from(line), { clientId: 'phone', seq: (seq += line.length) })),
    );
    await until(() => heard.text.includes('\n1000\r\n'));
    // As a kubelet says that has just begun.
    const absent = [404, 404];
    proxy.fate = ({ url }) => (url.includes('/exec?') && absent.shift()) || 'pass';
    proxy.cut();
    await until(() => absent.length === 0 && heard.text.includes('\n50000\r\n'));
    await proxy.stop();
    await delay(OUT_OF_REACH_MS);
    await channel.resize({ cols: 120, rows: 40 });
    await proxy.start();
    await typing;
    await channel.write(Buffer.from([4]));
    await until(() => heard.text.includes('all\r\n'));
    const sum = (text: string): string => createHash('sha256').update(text).digest('hex');
    const numbers = Array.from({ length: 300_000 }, (_, index) => `${index + 1}\r\n`).join('');
    expect(sum(heard.text.slice(head.length, heard.text.indexOf('all\r\n')))).toBe(sum(numbers));

    await first.close({ keepTerminals: true });
    const second = await cluster.driver();
    await second.look(place);
    expect(await second.terminals(place)).toMatchObject([{ sessionId: 'one', cols: 120, rows: 40, exit: null }]);
    const adopted = await second.adoptTerminal(place, 'one');
    const again = listen(adopted);
    expect(adopted.inputMarks.get('phone')).toBe(seq);
    await adopted.write(Buffer.from('echo pid-$$-$(md5sum < typed)-; stty size\n'));
    const [, pidNow, typed] = await until(() => /pid-(\d+)-(\w+) [^]*40 120/.exec(again.text));
    expect([pidNow, typed]).toEqual([pid, createHash('md5').update(lines.join('')).digest('hex')]);

    await proxy.stop();
    await cluster.rob(ID);
    await proxy.start();
    expect(await adopted.ended).toMatchObject({ reason: 'environment_stopped' });
    expect(await second.terminals(place)).toEqual([]);
    await second.close({ keepTerminals: false });
  });
});
