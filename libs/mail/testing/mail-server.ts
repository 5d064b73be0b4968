import { type AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

export interface ReceivedMail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/** A real SMTP server that takes everything. */
export class MailServer {
  readonly received: ReceivedMail[] = [];
  private wake: () => void = () => undefined;

  private constructor(private readonly server: SMTPServer) {}

  static async start(): Promise<MailServer> {
    const server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      onData: (stream, { envelope }, done) => {
        let raw = '';
        stream.on('data', (chunk: Buffer) => (raw += chunk.toString('latin1')));
        stream.on('end', () => {
          started.take(envelope.rcptTo.map(({ address }) => address).join(), raw);
          done();
        });
      },
    });
    const started = new MailServer(server);
    server.on('error', () => undefined); // a client that goes away
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return started;
  }

  get url(): string {
    return `smtp://127.0.0.1:${(this.server.server.address() as AddressInfo).port}`;
  }

  /** The next mail to this address with such a subject, whether or not it has come already; it is taken out. */
  async next(to: string, subject: RegExp): Promise<ReceivedMail> {
    for (;;) {
      const at = this.received.findIndex((mail) => mail.to === to && subject.test(mail.subject));
      const [found] = at < 0 ? [] : this.received.splice(at, 1);
      if (found) return found;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  private take(to: string, raw: string): void {
    const subject = /^Subject: (.*)$/m.exec(raw)?.[1] ?? '';
    const part = (type: string): string =>
      decode(new RegExp(`Content-Type: ${type};[^]*?\r\n\r\n([^]*?)\r\n--`).exec(raw)?.[1] ?? '');
    this.received.push({ to, subject: subject.trim(), text: part('text/plain'), html: part('text/html') });
    this.wake();
  }
}

/** Quoted-printable (RFC 2045 §6.7). */
function decode(text: string): string {
  const bytes = text.replace(/=\r\n/g, '').replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
