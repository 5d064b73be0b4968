import { type Mail } from '@devpocket/mail';

const COLUMNS = 72;

/** A text of paragraphs; `code` stands alone and can be copied, `link` opens what is to be done. */
interface Letter {
  readonly to: string;
  readonly name: string;
  readonly subject: string;
  readonly before: readonly string[];
  readonly code?: string;
  readonly link?: string | null;
  readonly after?: readonly string[];
}

export interface Addressee {
  readonly to: string;
  readonly name: string;
}

/** After `#`: what a browser shows there it sends to nobody, so that it stands in no log. */
function linkTo(publicUrl: string | null, page: string, token: string): string | null {
  return publicUrl === null ? null : `${publicUrl}/${page}#token=${token}`;
}

export function verificationLetter(whom: Addressee, token: string, publicUrl: string | null): Mail {
  return write({
    ...whom,
    subject: 'Verify your email address',
    before: ['Welcome to DevPocket. With this code you show that this address is yours:'],
    code: token,
    link: linkTo(publicUrl, 'verify-email', token),
    after: ['It can be used for 24 hours. If you did not ask for it, ignore this mail: nothing happens.'],
  });
}

export function resetLetter(whom: Addressee, token: string, publicUrl: string | null): Mail {
  return write({
    ...whom,
    subject: 'Set a new password',
    before: ['Somebody, probably you, forgot the password of this account. With this code you set a new one:'],
    code: token,
    link: linkTo(publicUrl, 'reset-password', token),
    after: [
      'It can be used once, within an hour. All devices and API keys are signed out then.',
      'If it was not you, ignore this mail: your password stays as it is.',
    ],
  });
}

export function addressChangedLetter(whom: Addressee, next: string): Mail {
  return write({
    ...whom,
    subject: 'Your email address has changed',
    before: [`The address of your account is now ${next}.`, 'If it was not you, tell whoever runs this server.'],
  });
}

export function addressChangingLetter(whom: Addressee, next: string): Mail {
  return write({
    ...whom,
    subject: 'Your email address is about to change',
    before: [
      `The address of your account is to become ${next}. Until that address is verified this one stays in force.`,
      'If it was not you, change your password now.',
    ],
  });
}

export function newDeviceLetter(whom: Addressee, device: string, ip: string, at: string): Mail {
  return write({
    ...whom,
    subject: 'A new device signed in',
    before: [
      `A device that your account has not seen before signed in at ${at} from ${ip}: ${device}`,
      'If it was not you, sign it out in the list of devices and change your password.',
    ],
  });
}

export function googleLinkedLetter(whom: Addressee, google: string): Mail {
  return write({
    ...whom,
    subject: 'A Google account was linked',
    before: [
      `The Google account ${google} can sign in to your account from now on.`,
      'If it was not you, set a new password by way of “forgot password”: that parts them, and signs every device out.',
    ],
  });
}

export function lockedLetter(whom: Addressee): Mail {
  return write({
    ...whom,
    subject: 'Your account is locked for half an hour',
    before: [
      'Somebody gave a wrong password for your account five times in a row. Nobody can sign in by password for the next 30 minutes.',
      'If it was you and you forgot it, set a new password; that also ends the lock.',
    ],
  });
}

function write({ to, name, subject, before, code, link = null, after = [] }: Letter): Mail {
  const blocks = [`Hello ${oneLine(name)},`, ...before.map(oneLine)];
  const text = [
    ...blocks.map(wrap),
    ...(code === undefined ? [] : [`    ${code}`]),
    ...(link === null ? [] : [link]),
    ...after.map(wrap),
  ];
  const html = [
    ...blocks.map(paragraph),
    ...(code === undefined ? [] : [`<p><code>${escape(code)}</code></p>`]),
    ...(link === null ? [] : [`<p><a href="${escape(link)}">${escape(link)}</a></p>`]),
    ...after.map(paragraph),
  ];
  return { to, subject, text: `${text.join('\n\n')}\n`, html: `<!doctype html>\n${html.join('\n')}\n` };
}

const paragraph = (text: string): string => `<p>${escape(text)}</p>`;

/** Short lines need no encoding, so that a mail that is read as a file shows its code as it is. */
function wrap(text: string): string {
  return text.replace(new RegExp(`(.{1,${COLUMNS}})(?: |$)`, 'g'), '$1\n').trimEnd();
}

/** Names and devices are what somebody said they are. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ');
}

function escape(text: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
