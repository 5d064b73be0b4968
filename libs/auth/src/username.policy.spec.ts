import { textFaults, USERNAME_RULES } from '@devpocket/users';
import fc from 'fast-check';
import { usernameFrom, withEnding } from './username.policy';

describe('a username from an address', () => {
  it.each([
    ['ada@example.com', 'ada'],
    ['Ada.Lovelace+dev@example.com', 'Ada_Lovelace'],
    ['zoë.ångström@example.com', 'zoe_angstrom'],
    ['"odd name"@example.com', 'odd_name'],
    ['-a-@example.com', 'usera'],
    ['李@example.com', 'user'],
    [`${'x'.repeat(64)}@example.com`, 'x'.repeat(30)],
  ])('of %s is %s', (email, username) => {
    expect(usernameFrom(email)).toBe(username);
  });

  it('is always one, with and without an ending', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.emailAddress(), fc.string({ unit: 'binary' })),
        fc.stringMatching(/^[0-9a-f]{4,12}$/),
        (email, ending) => {
          const username = usernameFrom(email);
          for (const name of [username, withEnding(username, ending)])
            expect(textFaults('username', name, USERNAME_RULES)).toEqual([]);
        },
      ),
    );
  });
});
