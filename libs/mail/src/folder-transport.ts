import { Logger } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import { type Mail, MailTransport } from './mail';

/** Where there is no mail server: a file for each mail, that any mail program opens. */
export class FolderTransport extends MailTransport {
  readonly summary: string;
  private readonly logger = new Logger('Mail');
  private readonly transporter = createTransport({ streamTransport: true, buffer: true });

  constructor(
    private readonly folder: string,
    private readonly from: string,
  ) {
    super();
    this.summary = `into ${folder}`;
  }

  async send({ to, subject, text, html }: Mail, kind: string): Promise<void> {
    const { message } = await this.transporter.sendMail({ from: this.from, to: { name: '', address: to }, subject, text, html });
    const name = `${new Date().toISOString().replace(/[:.]/g, '-')}-${kind}-${randomBytes(4).toString('hex')}.eml`;
    const file = join(this.folder, name);
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    // Whole or not at all: it may be read at any time. It holds what only its receiver may know.
    await writeFile(`${file}.part`, message as Buffer, { mode: 0o600 });
    await rename(`${file}.part`, file);
    this.logger.log(`A mail (${kind}) was written to ${file}, as SMTP_URL is not set`);
  }

  close(): void {
    this.transporter.close();
  }
}
