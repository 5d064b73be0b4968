export const SCOPES = ['env:read', 'env:write', 'terminal', 'files', 'admin'] as const;
/** What an API key may be given; a session has them all. */
export type Scope = (typeof SCOPES)[number];

export type Plan = 'free' | 'starter' | 'pro' | 'admin';
export type Role = 'user' | 'admin';

/** What a request, ticket or socket stands on: revoking it ends them all. */
export interface CredentialRef {
  readonly kind: 'session' | 'api_key';
  readonly id: string;
  readonly userId: string;
}

/** Who is calling, as of now; never cached across requests. */
export interface Principal {
  readonly userId: string;
  readonly username: string;
  readonly role: Role;
  readonly plan: Plan;
  readonly isVerified: boolean;
  readonly credential: CredentialRef;
  readonly scopes: ReadonlySet<Scope>;
  /** When the presented token expires; null for what lives as long as its credential. */
  readonly expiresAt: Date | null;
}
