import { type HttpSettings } from '@devpocket/config';
import { DomainError } from '@devpocket/kernel';
import { type NextFunction, type Request, type Response } from 'express';
import { isIP } from 'node:net';

export const FOREIGN_ORIGIN = 'origin_not_allowed';

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

/** The pages whose calls and sockets are taken: those of ALLOWED_ORIGINS, and the server's own. */
export class Origins {
  private readonly known: ReadonlySet<string>;
  private readonly onLoopback: boolean;

  constructor({ allowedOrigins, publicUrl, host }: HttpSettings) {
    this.known = new Set([...allowedOrigins, ...(publicUrl === null ? [] : [new URL(publicUrl).origin])]);
    this.onLoopback = isLoopback(host);
  }

  /** @param host of the request, as its header has it */
  allows(origin: string, host: string | undefined): boolean {
    return this.known.has('*') || this.known.has(origin) || (this.isSame(origin, host) && !this.isRebound(origin));
  }

  /**
   * Is this a page that came by a name which was made to point at this machine (DNS rebinding)? To its browser it is the server's own
   * page, so that it could register here, and have a shell. Who listens on loopback has no name but that of the machine itself.
   */
  isForeign(origin: string, host: string | undefined): boolean {
    return !this.known.has('*') && !this.known.has(origin) && this.isSame(origin, host) && this.isRebound(origin);
  }

  private isSame(origin: string, host: string | undefined): boolean {
    return origin === `http://${host ?? ''}` || origin === `https://${host ?? ''}`;
  }

  private isRebound(origin: string): boolean {
    if (!this.onLoopback) return false;
    const name = URL.parse(origin)?.hostname ?? '';
    return isIP(name.replace(/^\[(.*)\]$/, '$1')) === 0 && name !== 'localhost' && !name.endsWith('.localhost');
  }
}

export function foreignOrigin(): DomainError {
  return new DomainError('forbidden', FOREIGN_ORIGIN, 'This origin is not in ALLOWED_ORIGINS, nor that of PUBLIC_URL');
}

/** Refuses pages that came by a foreign name. Those of other origins read nothing anyway, and send no JSON. */
export function refuseForeignPages(origins: Origins): (request: Request, response: Response, next: NextFunction) => void {
  return ({ headers: { origin, host } }, _response, next) => {
    if (origin !== undefined && origins.isForeign(origin, host)) next(foreignOrigin());
    else next();
  };
}
