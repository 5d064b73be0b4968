import { createTransport, type Transporter } from 'nodemailer';
import { type Mail, MailRefusedError, MailTransport } from './mail';

const CONNECT_MS = 10_000;
const SILENT_MS = 30_000;

export class SmtpTransport extends MailTransport {
  readonly summary: string;
  private readonly transporter: Transporter;

  constructor(
    url: string,
    private readonly from: string,
  ) {
    super();
    const { hostname, port } = new URL(url);
    this.summary = `by ${hostname}${port ? `:${port}` : ''}`;
    const limits = { connectionTimeout: CONNECT_MS, greetingTimeout: CONNECT_MS, socketTimeout: SILENT_MS };
    this.transporter = createTransport({ url, ...limits, disableFileAccess: true, disableUrlAccess: true });
  }

  async send({ to, subject, text, html }: Mail): Promise<void> {
    try {
      // As an object, so that nothing in an address is taken for another one.
      await this.transporter.sendMail({ from: this.from, to: { name: '', address: to }, subject, text, html });
    } catch (error) {
      if (isRefusal(error)) throw new MailRefusedError(error.message, { cause: error });
      throw error;
    }
  }

  /** Is it there, and does it take us? @throws Error with what it says */
  async check(): Promise<void> {
    await this.transporter.verify();
  }

  close(): void {
    this.transporter.close();
  }
}

/** RFC 5321 §4.2.1: 5yz is permanent. What the server says of us (5yz at sign-in or greeting) may be mended. */
function isRefusal(error: unknown): error is Error {
  if (!(error instanceof Error) || !('responseCode' in error) || !('code' in error)) return false;
  return Number(error.responseCode) >= 500 && (error.code === 'EENVELOPE' || error.code === 'EMESSAGE');
}
