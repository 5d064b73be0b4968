import { type Clock } from '@devpocket/kernel';
import { type Connection } from 'mongoose';
import { type Mail, MailTransport } from '../src/mail';
import { MailOutbox } from '../src/mail-outbox';
import { MailRepository } from '../src/mail.repository';
import { MailRecord, MailSchema } from '../src/mail.schema';

/** Keeps what it is given; fails as it is told. */
export class FakeTransport extends MailTransport {
  readonly summary = 'nowhere';
  readonly sent: Mail[] = [];
  failure: Error | null = null;

  send(mail: Mail): Promise<void> {
    if (this.failure) return Promise.reject(this.failure);
    this.sent.push(mail);
    return Promise.resolve();
  }

  close(): void {
    return;
  }
}

/** An outbox on a real database; `turn` sends. */
export function testOutbox(connection: Connection, clock: Clock, transport: MailTransport = new FakeTransport()): MailOutbox {
  const model = connection.models[MailRecord.name] ?? connection.model(MailRecord.name, MailSchema);
  return new MailOutbox(new MailRepository(model), transport, clock);
}
export { MailServer, type ReceivedMail } from './mail-server';
