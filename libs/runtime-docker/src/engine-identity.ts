import { type Version } from './engine-objects';

export interface EngineIdentity {
  readonly name: string;
  readonly version: string;
  readonly isPodman: boolean;
}

export function identityOf({ Components = [], Version: version }: Version): EngineIdentity {
  const isPodman = Components.some(({ Name }) => /podman/i.test(Name));
  return { name: isPodman ? 'Podman' : 'Docker Engine', version, isPodman };
}
