import { MailSettings } from '@devpocket/config';
import { Module } from '@nestjs/common';
import { MongooseModule } from '@nestjs/mongoose';
import { join } from 'node:path';
import { FolderTransport } from './folder-transport';
import { MailTransport } from './mail';
import { MailOutbox } from './mail-outbox';
import { MailRepository } from './mail.repository';
import { MailRecord, MailSchema } from './mail.schema';
import { MailSender } from './mail-sender';
import { SmtpTransport } from './smtp-transport';

@Module({
  imports: [MongooseModule.forFeature([{ name: MailRecord.name, schema: MailSchema }])],
  providers: [
    MailRepository,
    MailOutbox,
    {
      provide: MailTransport,
      inject: [MailSettings],
      useFactory: ({ smtpUrl, from, dataDir }: MailSettings) =>
        smtpUrl === null ? new FolderTransport(join(dataDir, 'mail'), from) : new SmtpTransport(smtpUrl, from),
    },
  ],
  exports: [MailOutbox],
})
export class MailModule {}

/** For what sends: the server. */
@Module({ imports: [MailModule], providers: [MailSender] })
export class MailSenderModule {}
