import { type MailSettings } from '@devpocket/config';
import { SmtpTransport } from './smtp-transport';

/**
 * Connects and signs in to the mail server as a mail would; sends nothing.
 * @returns how mails go
 * @throws Error with what the mail server or the network says
 */
export async function checkMail({ smtpUrl, from }: Pick<MailSettings, 'smtpUrl' | 'from'>): Promise<string> {
  if (smtpUrl === null) return 'into DATA_DIR/mail';
  const transport = new SmtpTransport(smtpUrl, from);
  try {
    await transport.check();
    return transport.summary;
  } finally {
    transport.close();
  }
}
