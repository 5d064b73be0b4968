/** Of the Docker Engine API v1.41, as far as it is read. */
export interface ContainerSummary {
  readonly Id: string;
  /** Each begins with a slash. */
  readonly Names: readonly string[];
  readonly Labels: Readonly<Record<string, string>> | null;
  /** `created | running | paused | restarting | removing | exited | dead`; podman has `stopped` and `initialized` too. */
  readonly State: string;
}

export interface ContainerState {
  readonly Status: string;
  readonly Running: boolean;
  readonly OOMKilled: boolean;
  readonly ExitCode: number;
  /** Why it could not be started; empty where it could. */
  readonly Error: string;
  /** RFC 3339; year 1 where it never was. */
  readonly StartedAt: string;
  readonly FinishedAt: string;
}

export interface Container {
  readonly Id: string;
  readonly Name: string;
  readonly State: ContainerState;
  readonly Config: { readonly Labels: Readonly<Record<string, string>> | null };
}

export interface Volume {
  readonly Name: string;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly Options: Readonly<Record<string, string>> | null;
}

export interface Network {
  readonly Id: string;
  readonly Created: string;
  readonly Name: string;
  readonly Labels: Readonly<Record<string, string>> | null;
}

export interface Version {
  readonly Version: string;
  readonly ApiVersion: string;
  readonly Components?: readonly { readonly Name: string; readonly Version: string }[];
}

/** Has it ever run? */
export function hasBegun({ StartedAt }: ContainerState): boolean {
  return !StartedAt.startsWith('0001-');
}
