import { randomBytes } from 'node:crypto';
import { type OAuth2Server } from 'oauth2-mock-server';

/** Somebody at Google. */
export interface GooglePerson {
  readonly sub: string;
  readonly email: string;
  readonly email_verified: unknown;
  readonly name: string;
  readonly picture: string;
}

export const GOOGLE_CLIENT = 'devpocket.apps.example.com';
export const GOOGLE_APP = 'devpocket://signed-in';

/** Where Google sends browsers back to: the path is what counts in tests, whatever the server's port. */
const CALLBACK = 'http://127.0.0.1/api/v1/auth/google/callback';

/** A real OpenID provider that says whatever a test wants. */
export class GoogleIssuer {
  /** How often the keys were read. */
  keyReads = 0;
  /** Claims of the ID tokens that the browser's way gives, over those of the person who is asked. */
  private inBrowser: Readonly<Record<string, unknown>> = {};
  private readonly port: number;

  private constructor(
    readonly server: OAuth2Server,
    readonly url: string,
  ) {
    this.port = server.address().port;
    const { keys } = server.issuer;
    const toJson = keys.toJSON.bind(keys);
    keys.toJSON = (includePrivateFields) => {
      if (!includePrivateFields) this.keyReads += 1;
      return toJson(includePrivateFields);
    };
    server.service.on('beforeTokenSigning', ({ payload }: { readonly payload: object }) =>
      Object.assign(payload, this.inBrowser),
    );
  }

  static async start(): Promise<GoogleIssuer> {
    const { OAuth2Server: Server } = await import('oauth2-mock-server');
    const server = new Server();
    await server.issuer.keys.generate('RS256', { kid: 'first' });
    await server.start(0, '127.0.0.1');
    return new GoogleIssuer(server, String(server.issuer.url));
  }

  /** Variables of a server that signs in with it. */
  get env(): Readonly<Record<string, string>> {
    return {
      GOOGLE_ISSUER: this.url,
      GOOGLE_CLIENT_ID: GOOGLE_CLIENT,
      GOOGLE_CLIENT_SECRET: 'client-secret',
      GOOGLE_REDIRECT_URI: CALLBACK,
      GOOGLE_SUCCESS_REDIRECT: GOOGLE_APP,
    };
  }

  person(name: string, over: Partial<GooglePerson> = {}): GooglePerson {
    return {
      sub: randomBytes(10).toString('hex'),
      email: `${name}@example.com`,
      email_verified: true,
      name: `${name} of Google`,
      picture: `https://pictures.example.com/${name}`,
      ...over,
    };
  }

  /** @param over claims; one that is undefined is left out @param kid of the key to sign with; the first one's */
  token(person: GooglePerson, over: Readonly<Record<string, unknown>> = {}, kid = 'first'): Promise<string> {
    return this.server.issuer.buildToken({
      kid,
      scopesOrTransform: (_header, payload) => {
        Object.assign(payload, { aud: GOOGLE_CLIENT, ...person, ...over });
      },
    });
  }

  /** Who sits at the browser from now on. */
  browses(person: GooglePerson, over: Readonly<Record<string, unknown>> = {}): void {
    this.inBrowser = { ...person, ...over };
  }

  stop(): Promise<void> {
    return this.server.stop();
  }

  /** Again, where it was. */
  async resume(): Promise<void> {
    await this.server.start(this.port, '127.0.0.1');
  }
}
