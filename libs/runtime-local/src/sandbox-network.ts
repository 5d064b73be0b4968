import { existsSync, readFileSync } from 'node:fs';
import { type HostSpec } from './host-protocol';

/** slirp4netns and pasta answer name look-ups at an address of their own; the machine's resolver may listen on loopback only. */
export const RESOLVER = '10.0.2.3';
/** Where clouds answer questions about the machine, credentials included. */
const LINK_LOCAL = '169.254.0.0/16';

export function isOutward(network: HostSpec['network']): network is 'pasta' | 'slirp4netns' {
  return network === 'pasta' || network === 'slirp4netns';
}

/** Also those of an interface that is down, which Node leaves out: they answer all the same. */
function ownAddresses(): readonly string[] {
  const read = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8') : '');
  const four = [...read('/proc/net/fib_trie').matchAll(/\|-- ([\d.]+)\n\s+\/32 host LOCAL/g)].map(([, address = '']) => address);
  const six = [...read('/proc/net/if_inet6').matchAll(/^(\w{32}) \w+ \w+ 00 /gm)].map(([, digits = '']) =>
    (digits.match(/.{4}/g) ?? []).join(':'),
  );
  return [...new Set([...four.filter((address) => !address.startsWith('127.')), ...six])];
}

/** Before anything of the user's runs, and with rights that nothing after it has: these routes stay. */
const FENCE = `
"$0" link set lo up
while [ "$1" != -- ]; do "$0" route add unreachable "$1" 2>/dev/null; shift; done; shift
exec "$@"
`;

/**
 * What a command begins with that closes to itself, and to what it becomes, this machine's other addresses; empty where there is
 * nothing to close or (without iproute2) nothing to do it.
 */
export function fence(network: HostSpec['network'], ip: string | null): readonly string[] {
  return isOutward(network) && ip !== null ? ['/bin/sh', '-c', FENCE, ip, LINK_LOCAL, ...ownAddresses(), '--'] : [];
}

/** Ends what it runs when descriptor 3 closes, also because whoever holds its other end was killed. */
const LEASHED = '"$@" 3<&- & read -r _ <&3; kill $!';

/** Outward only: the machine's own loopback is reachable neither by its address nor through the gateway's. */
export function networkArguments(
  kind: 'pasta' | 'slirp4netns',
  path: string,
  target: number,
  uid: number | null,
): readonly string[] {
  const spaces = `/proc/${target}/ns`;
  const leashed = ['/bin/sh', '-c', LEASHED, 'devpocket'];
  if (kind === 'pasta') {
    const closed = ['-t', 'none', '-u', 'none', '-T', 'none', '-U', 'none'];
    return [
      ...leashed,
      path,
      '--foreground',
      '--quiet',
      '--config-net',
      '--no-map-gw',
      '--dns-forward',
      RESOLVER,
      ...closed,
      '--userns',
      `${spaces}/user`,
      '--netns',
      `${spaces}/net`,
    ];
  }
  const user = uid === null ? ['--userns-path', `${spaces}/user`] : [];
  // Its own sandbox lets go of every mount, and that would reach the machine's where they are shared (systemd's are): root's namespaces of
  // networks in /run/netns would be gone.
  const apart = uid === null ? [] : ['unshare', '--mount', '--propagation', 'private', '--'];
  const alone = ['--disable-host-loopback', '--enable-sandbox', '--enable-seccomp'];
  return [
    ...leashed,
    ...apart,
    path,
    '--configure',
    '--mtu=65520',
    ...alone,
    ...user,
    '--netns-type=path',
    `${spaces}/net`,
    'tap0',
  ];
}
