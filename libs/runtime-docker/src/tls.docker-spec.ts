import { reach, testEngine, TestEngine, TlsRelay } from '../testing';

const ID = '0123456789abcdef00007150';

describe('an engine that is reached over TLS, with certificates of both sides', () => {
  let relay: TlsRelay;
  beforeAll(async () => {
    relay = await TlsRelay.open(testEngine());
  });
  afterAll(() => relay.close());

  it('runs environments with shells, and tells of their ends', async () => {
    const engine = await TestEngine.open('tls', relay.settings());
    await engine.clear();
    try {
      const driver = await engine.driver();
      const place = engine.place(ID);
      const told: string[] = [];
      driver.onChange((id) => told.push(id));
      await driver.start(engine.spec(ID, 1));
      await reach(driver, place, 'running');
      const channel = await driver.openTerminal(place, { sessionId: 'one', cols: 80, rows: 24 });
      let heard = '';
      channel.attach((chunk) => (heard += chunk.toString('utf8')));
      await channel.write(Buffer.from('seq 20000; echo "=$((6 * 7))="; exit 3\n'));
      expect(await channel.ended).toMatchObject({ code: 3 });
      expect(heard).toMatch(/\r\n20000\r\n=42=\r\n/);
      told.length = 0;
      await engine.rob(ID);
      await reach(driver, place, 'stopped');
      expect(told).toContain(ID);
      await driver.destroy(place);
      expect(await engine.left()).toEqual([]);
    } finally {
      await engine.close();
    }
  });

  it('that refuses, or is not to be trusted, is told of at the start, and starts nothing', async () => {
    for (const [settings, words] of [
      [relay.settings('foreign'), 'is not signed by the ca.pem'],
      [relay.settingsOfStranger(), 'refuses the certificate in DOCKER_CERT_PATH'],
    ] as const) {
      const engine = await TestEngine.open('tls', settings);
      const driver = engine.newDriver();
      const { warnings, summary } = await driver.open();
      expect(summary).toContain('an engine that does not answer yet');
      expect(warnings.join(' ')).toContain(words);
      await expect(driver.start(engine.spec(ID, 1))).rejects.toMatchObject({ kind: 'unreachable' });
      await engine.close();
    }
  });
});
