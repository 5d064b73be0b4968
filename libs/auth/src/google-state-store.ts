import { GoogleSettings } from '@devpocket/config';
import { Clock } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { type Request, type Response } from 'express';
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { AuthKeys } from './auth-keys';
import { GoogleFlows } from './google-flows';

const MINUTES = 10;

const FLOW = z.object({
  state: z.string(),
  verifier: z.string(),
  nonce: z.string(),
  codeChallenge: z.string(),
  expiresAt: z.number(),
});

/** A sign-in in a browser while it is at Google. */
export type GoogleFlow = Readonly<z.output<typeof FLOW>>;
export type BegunFlow = Pick<GoogleFlow, 'nonce' | 'codeChallenge'>;

/**
 * Passport's state store (passport-oauth2, `StateStore`) without a session on the server: what has to be known when the browser comes
 * back, it carries itself, in a signed cookie. So the state it comes back with must be that of this very browser, and it is used once.
 */
@Injectable()
export class GoogleStateStore {
  constructor(
    private readonly keys: AuthKeys,
    private readonly flows: GoogleFlows,
    private readonly settings: GoogleSettings,
    private readonly clock: Clock,
  ) {}

  /** Called with as many parameters as are declared here; the verifier is of PKCE towards Google. */
  store(
    request: Request,
    verifier: string,
    { nonce, codeChallenge }: BegunFlow,
    _meta: unknown,
    done: (error: unknown, state?: string) => void,
  ): void {
    const state = randomBytes(32).toString('base64url');
    const expiresAt = this.clock.millis() + MINUTES * 60_000;
    const payload = Buffer.from(JSON.stringify({ state, verifier, nonce, codeChallenge, expiresAt })).toString('base64url');
    const { res: response } = request;
    if (response) this.setCookie(response, `${payload}.${this.sign(payload)}`, MINUTES * 60);
    done(null, state);
  }

  verify(
    request: Request,
    state: unknown,
    _meta: unknown,
    done: (error: unknown, verifier?: string | false, flow?: GoogleFlow | object) => void,
  ): void {
    this.take(request, state).then(
      (flow) => (flow ? done(null, flow.verifier, flow) : done(null, false, {})),
      (error: unknown) => done(error),
    );
  }

  clear(response: Response): void {
    this.setCookie(response, '', 0);
  }

  private async take(request: Request, state: unknown): Promise<GoogleFlow | null> {
    const flow = this.read(request);
    if (flow?.state !== state || flow === null || flow.expiresAt <= this.clock.millis()) return null;
    return (await this.flows.useState(flow.state, new Date(flow.expiresAt))) ? flow : null;
  }

  private read(request: Request): GoogleFlow | null {
    const [payload = '', signature = ''] = cookieOf(request, this.cookie).split('.');
    const [given, due] = [Buffer.from(signature), Buffer.from(this.sign(payload))];
    if (given.length !== due.length || !timingSafeEqual(given, due)) return null;
    return FLOW.parse(JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')));
  }

  private sign(payload: string): string {
    return this.keys.mac('google-state', payload).toString('base64url');
  }

  /** With the prefix a browser takes it from this very host alone, and by https (RFC 6265bis §4.1.3). */
  private get cookie(): string {
    return this.settings.secureCookie ? '__Host-devpocket_google' : 'devpocket_google';
  }

  /** `Lax`: the browser sends it when Google sends the person back, and with nothing that another site's page does by itself. */
  private setCookie(response: Response, value: string, maxAge: number): void {
    const secure = this.settings.secureCookie ? '; Secure' : '';
    response.append('Set-Cookie', `${this.cookie}=${value}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Lax${secure}`);
  }
}

function cookieOf(request: Request, name: string): string {
  const all = (request.headers.cookie ?? '').split(';').map((pair) => pair.trim());
  return all.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
}
