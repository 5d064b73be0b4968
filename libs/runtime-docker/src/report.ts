import { type RuntimeReport } from '@devpocket/runtime';
import { addressOf, type EngineSettings } from './engine-address';
import { type EngineSession } from './engine-session';

/** What the operator is told at the start. */
export async function reportOf(
  session: EngineSession,
  { engine, chosen }: { readonly engine: EngineSettings; readonly chosen: string },
): Promise<RuntimeReport> {
  const address = addressOf(engine);
  let why = '';
  const identity = await session.identity().catch((error: unknown) => {
    why = error instanceof Error ? error.message : String(error);
    return null;
  });
  const name = identity ? `${identity.name} ${identity.version}` : 'an engine that does not answer yet';
  const warnings = identity
    ? []
    : [`The container engine at ${engine.host} does not answer: no environment starts until it does. ${why}`];
  if (address.kind === 'tcp' && !address.tls)
    warnings.push(`DOCKER_HOST is ${engine.host} without TLS: whoever reaches that port has that machine`);
  return {
    kind: 'docker',
    summary: `environments are containers of ${name} at ${engine.host} (${chosen})`,
    warnings,
    multiUser: true,
    exposable: true,
  };
}
