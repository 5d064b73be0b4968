import fc from 'fast-check';
import { EMAIL_RULES, FULL_NAME_RULES, PASSWORD_RULES, textFaults, type TextRule, USERNAME_RULES } from './account.policy';

const codeOf = (text: string, rules: readonly TextRule[]): string | null => textFaults('field', text, rules)[0]?.code ?? null;

describe('rules of account fields', () => {
  it.each([
    ['abc', null],
    ['A-b_9', null],
    ['x'.repeat(30), null],
    ['ab', 'invalid_username'],
    ['x'.repeat(31), 'invalid_username'],
    ['a b c', 'invalid_username'],
    ['ada@example.com', 'invalid_username'],
    ['ädä', 'invalid_username'],
    ['ada\n', 'invalid_username'],
  ])('username %j: %s', (username, code) => expect(codeOf(username, USERNAME_RULES)).toBe(code));

  it.each([
    ['ada@example.com', null],
    ['Ada.L+tag@mail.example.co.uk', null],
    ['ada', 'invalid_email'],
    ['ada@localhost', 'invalid_email'],
    ['ada @example.com', 'invalid_email'],
    ['ada\ud800@example.com', 'invalid_email'],
    [`${'a'.repeat(65)}@example.com`, 'invalid_email'],
    [`ada@${'a.'.repeat(130)}com`, 'invalid_email'],
  ])('email %j: %s', (email, code) => expect(codeOf(email, EMAIL_RULES)).toBe(code));

  it.each([
    ['Abcdefg1', null],
    [`Aa1${'x'.repeat(69)}`, null],
    ['Abcde1', 'password_too_short'],
    [`Aa1${'x'.repeat(98)}`, 'password_too_long'],
    [`Aa1${'x'.repeat(70)}`, 'password_too_many_bytes'],
    [`Aa1${'ä'.repeat(35)}`, 'password_too_many_bytes'],
    [`Aa1${'ä'.repeat(34)}`, null],
    ['Abcdefg1\0', 'password_invalid_character'],
    ['Abcdefg1\ud800', 'password_invalid_character'],
    ['ABCDEFG1', 'password_without_lower_case'],
    ['abcdefg1', 'password_without_upper_case'],
    ['Abcdefgh', 'password_without_digit'],
  ])('password %j: %s', (password, code) => expect(codeOf(password, PASSWORD_RULES)).toBe(code));

  it.each([
    ['', null],
    ['Ada Lovelace', null],
    ['👩‍💻'.repeat(33), null],
    ['x'.repeat(101), 'full_name_too_long'],
    ['Ada\u001b[2J', 'invalid_full_name'],
    ['a\nb', 'invalid_full_name'],
  ])('full name %j: %s', (name, code) => expect(codeOf(name, FULL_NAME_RULES)).toBe(code));

  it.each([EMAIL_RULES, FULL_NAME_RULES, PASSWORD_RULES, USERNAME_RULES])(
    'no text breaks a rule otherwise than by its code: %#',
    (...rules) => {
      const unit = fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code));
      const text = fc.tuple(fc.string({ unit }), fc.constantFrom('', '@', '@example.com')).map((parts) => parts.join(''));
      const codes = [null, ...rules.map(({ code }) => code)];
      fc.assert(fc.property(text, (given) => expect(codes).toContain(codeOf(given, rules))));
    },
  );
});
