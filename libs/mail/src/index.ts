export { checkMail } from './check-mail';
export { type Mail, type MailFacts } from './mail';
export { type Composer, MailOutbox } from './mail-outbox';
export { MailModule, MailSenderModule } from './mail.module';
