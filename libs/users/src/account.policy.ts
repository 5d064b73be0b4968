import { type FieldError } from '@devpocket/kernel';
import { isEmail } from 'class-validator';

/** One rule of a text field. `code` is stable and for programs; `message` completes "<field> …". */
export interface TextRule {
  readonly code: string;
  readonly message: string;
  readonly holds: (text: string) => boolean;
}

export { nameKey, type Region, REGIONS } from '@devpocket/kernel';

/** bcrypt reads no further; a longer password would be cut in silence. */
export const PASSWORD_MAX_BYTES = 72;
const characters = (text: string): number => [...text].length;

export const USERNAME_RULES: readonly TextRule[] = [
  {
    code: 'invalid_username',
    message: 'must be 3–30 of letters, digits, _ and -',
    holds: (text) => /^[A-Za-z0-9_-]{3,30}$/.test(text),
  },
];

export const EMAIL_RULES: readonly TextRule[] = [
  {
    code: 'invalid_email',
    message: 'must be an email address',
    // isEmail throws for a lone surrogate.
    holds: (text) => text.length <= 254 && text.isWellFormed() && isEmail(text),
  },
];

export const FULL_NAME_RULES: readonly TextRule[] = [
  { code: 'full_name_too_long', message: 'must be at most 100 characters', holds: (text) => characters(text) <= 100 },
  {
    code: 'invalid_full_name',
    message: 'must not contain control characters',
    holds: (text) => !/[\p{Cc}\u2028\u2029]/u.test(text) && text.isWellFormed(),
  },
];

export const PASSWORD_RULES: readonly TextRule[] = [
  { code: 'password_too_short', message: 'must be at least 8 characters long', holds: (text) => characters(text) >= 8 },
  { code: 'password_too_long', message: 'must be at most 100 characters long', holds: (text) => characters(text) <= 100 },
  {
    code: 'password_too_many_bytes',
    message: `must be at most ${PASSWORD_MAX_BYTES} bytes long as UTF-8 (letters beyond ASCII count 2 to 4)`,
    holds: (text) => Buffer.byteLength(text) <= PASSWORD_MAX_BYTES,
  },
  {
    code: 'password_invalid_character',
    message: 'must not contain a NUL or a lone surrogate',
    holds: (text) => !text.includes('\0') && text.isWellFormed(),
  },
  { code: 'password_without_lower_case', message: 'must have a lower-case letter', holds: (text) => /\p{Ll}/u.test(text) },
  { code: 'password_without_upper_case', message: 'must have an upper-case letter', holds: (text) => /\p{Lu}/u.test(text) },
  { code: 'password_without_digit', message: 'must have a digit', holds: (text) => /[0-9]/.test(text) },
];

/** What is wrong with a field, by the first rule that it breaks; for callers without a DTO (the CLI). */
export function textFaults(field: string, text: string, rules: readonly TextRule[]): readonly FieldError[] {
  const broken = rules.find((rule) => !rule.holds(text));
  return broken ? [{ field, code: broken.code, message: broken.message }] : [];
}
