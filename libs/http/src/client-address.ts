import { type IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import proxyaddr from 'proxy-addr';

/**
 * Tells who is really calling: the peer's address, or what `X-Forwarded-For` says as far back as the hops are trusted.
 * @param trusted addresses or CIDR ranges
 */
export function clientAddressReader(trusted: readonly string[]): (request: IncomingMessage) => string {
  const trust = proxyaddr.compile([...trusted]);
  return (request) => proxyaddr(request, trust) || 'unknown';
}

/** The key under which an address is counted: an IPv6 client owns a whole /64, so that is what counts (RFC 6177). */
export function addressKey(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped) return mapped;
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? [];
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0');
  return (
    [...first, ...zeros, ...last]
      .slice(0, 4)
      .map((part) => part.replace(/^0+(?=.)/, '').toLowerCase())
      .join(':') + '::/64'
  );
}
