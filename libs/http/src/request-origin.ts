import { Injectable } from '@nestjs/common';
import { type IncomingMessage } from 'node:http';
import { EdgeLimiter } from './edge-limiter';
import { contextOf } from './request-context';

/** Where a request came from. */
export interface RequestOrigin {
  readonly ip: string | null;
  readonly userAgent: string | null;
  readonly requestId: string | null;
}

/** Not a request: the command line, for one. */
export const NO_ORIGIN: RequestOrigin = { ip: null, userAgent: null, requestId: null };

const USER_AGENT_CHARACTERS = 256;

@Injectable()
export class RequestOrigins {
  constructor(private readonly edge: EdgeLimiter) {}

  of(request: IncomingMessage): RequestOrigin {
    const userAgent = request.headers['user-agent']?.slice(0, USER_AGENT_CHARACTERS) ?? null;
    return { ip: this.edge.addressOf(request), userAgent, requestId: contextOf(request).requestId };
  }
}
