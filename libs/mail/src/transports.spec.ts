import { Logger } from '@nestjs/common';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { FolderTransport } from './folder-transport';
import { type Mail, MailRefusedError } from './mail';
import { SmtpTransport } from './smtp-transport';

const FROM = 'DevPocket <no-reply@example.com>';
const MAIL: Mail = { to: 'ada@example.com', subject: 'Grüße', text: 'Hello\n', html: '<p>Hello</p>' };

interface Received {
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
}

describe('a mail server', () => {
  let server: SMTPServer;
  let received: Received[];
  const listen = async (options: SMTPServerOptions = {}): Promise<string> => {
    received = [];
    server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      onData: (stream, { envelope }, done) => {
        let text = '';
        stream.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
        stream.on('end', () => {
          const from = envelope.mailFrom ? envelope.mailFrom.address : '';
          received.push({ from, to: envelope.rcptTo.map(({ address }) => address), text });
          done();
        });
      },
      ...options,
    });
    server.on('error', () => undefined); // a client that goes away
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(server.server.address() as AddressInfo).port}`;
  };
  afterEach(() => new Promise<void>((resolve) => server.close(resolve)));

  it('gets text and HTML, from and to whom they are', async () => {
    const transport = new SmtpTransport(`smtp://${await listen()}`, FROM);
    await transport.send(MAIL);
    expect(received).toMatchObject([{ from: 'no-reply@example.com', to: ['ada@example.com'] }]);
    expect(received[0]?.text).toMatch(/^From: DevPocket <no-reply@example.com>\r\nTo: ada@example.com\r\nSubject: =\?UTF-8\?/);
    expect(received[0]?.text).toMatch(/Content-Type: text\/plain; [^]*Hello[^]*Content-Type: text\/html; [^]*<p>Hello<\/p>/);
    transport.close();
  });

  it('is signed in to with the credentials of SMTP_URL, which no error tells', async () => {
    const users: string[] = [];
    const address = await listen({
      authOptional: false,
      allowInsecureAuth: true,
      onAuth: ({ username = '', password }, _session, done) => {
        users.push(username);
        done(password === 'pass:word' ? null : new Error('no'), { user: username });
      },
    });
    await new SmtpTransport(`smtp://ada:pass%3Aword@${address}`, FROM).send(MAIL);
    expect([users, received.length]).toEqual([['ada'], 1]);
    const wrong = await new SmtpTransport(`smtp://ada:hunter2@${address}`, FROM).send(MAIL).catch((error: unknown) => error);
    expect(wrong).toBeInstanceOf(Error);
    expect(wrong).not.toBeInstanceOf(MailRefusedError);
    expect(String(wrong)).not.toContain('hunter2');
  });

  it.each([
    [550, MailRefusedError],
    [451, Error],
  ])('that answers a receiver with %i', async (responseCode, kind) => {
    const onRcptTo: SMTPServerOptions['onRcptTo'] = (_address, _session, done) =>
      done(Object.assign(new Error('not here'), { responseCode }));
    const failure = await new SmtpTransport(`smtp://${await listen({ onRcptTo })}`, FROM)
      .send(MAIL)
      .catch((error: unknown) => error);
    expect((failure as Error).constructor).toBe(kind);
  });

  it('sees one receiver and no header of somebody else’s making', async () => {
    const transport = new SmtpTransport(`smtp://${await listen()}`, FROM);
    for (const to of [
      'ada@example.com, eve@example.com',
      'ada@example.com\r\nBcc: eve@example.com',
      '"eve@example.com,"@example.com',
    ])
      await transport.send({ ...MAIL, to }).catch(() => undefined); // refused is fine too
    // A subject alone is no reason to refuse.
    await transport.send({ ...MAIL, subject: 'Hello\r\nBcc: eve@example.com' });
    expect(received.at(-1)).toMatchObject({ to: [MAIL.to], text: expect.stringMatching(/^Subject: .*Hello/m) as string });
    for (const { to, text } of received) {
      expect([to.length, to.includes('eve@example.com')]).toEqual([1, false]);
      expect(text).not.toMatch(/^bcc:/im);
    }
  });
});

describe('a folder in its place', () => {
  beforeAll(() => {
    Logger.overrideLogger(false);
  });
  it('gets whole files for their owner alone', async () => {
    const data = mkdtempSync(join(tmpdir(), 'devpocket-mail-'));
    const transport = new FolderTransport(join(data, 'mail'), FROM);
    await transport.send(MAIL, 'verify');
    const files = readdirSync(join(data, 'mail'));
    expect(files).toEqual([expect.stringMatching(/^[\dTZ-]+-verify-[0-9a-f]{8}\.eml$/)]);
    const file = join(data, 'mail', files[0] ?? '');
    expect([statSync(join(data, 'mail')).mode & 0o777, statSync(file).mode & 0o777]).toEqual([0o700, 0o600]);
    expect(readFileSync(file, 'utf8')).toMatch(/To: ada@example.com\r\n[^]*Hello[^]*<p>Hello<\/p>/);
    transport.close();
    rmSync(data, { recursive: true });
  });
});
