const MOST = 30;
const LEAST = 3;

/** A username from an address: what stands before the `@`, as far as a username can have it. */
export function usernameFrom(email: string): string {
  const [local = ''] = email.split('@');
  const [name = ''] = local.split('+');
  const plain = name
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .replace(/[^A-Za-z0-9_-]+/g, '_')
    .slice(0, MOST)
    .replace(/^[_-]+|[_-]+$/g, '');
  return plain.length >= LEAST ? plain : `user${plain}`;
}

/** The same with an ending, for when it is taken. @param ending letters, digits, `_` and `-` */
export function withEnding(username: string, ending: string): string {
  return `${username.slice(0, MOST - ending.length - 1)}-${ending}`;
}
