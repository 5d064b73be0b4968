import { createParamDecorator, type ExecutionContext } from '@nestjs/common';

const scopes = new WeakMap<object, string>();

export function setIdempotencyScope(request: object, scope: string): void {
  scopes.set(request, scope);
}

/**
 * The hashed (user, method, path, key) of a request with an `Idempotency-Key`, else null. A create stores it in a unique field
 * of what it creates, so that a crash before the answer is kept makes no second one.
 */
export const IdempotencyScope = createParamDecorator((_: unknown, context: ExecutionContext): string | null => {
  return scopes.get(context.switchToHttp().getRequest<object>()) ?? null;
});

export interface StoredAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

export type Claim =
  | { readonly outcome: 'ours' }
  | { readonly outcome: 'running' }
  | { readonly outcome: 'mismatch' }
  | { readonly outcome: 'answered'; readonly answer: StoredAnswer };
