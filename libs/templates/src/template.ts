export const TEMPLATE_STATUSES = ['active', 'deprecated'] as const;
export type TemplateStatus = (typeof TEMPLATE_STATUSES)[number];

/** Kubernetes quantities, as they were given. */
export interface TemplateResources {
  readonly cpu: string;
  readonly memory: string;
  readonly storage: string;
}

/** What a template says; a stored one adds id, version and times. */
export interface TemplateDefinition {
  /** Lower-case letters, digits and `-`, 1–50. */
  readonly name: string;
  readonly displayName: string;
  readonly description: string;
  readonly category: string;
  readonly tags: readonly string[];
  /** Null: the caller gives it (`custom`). */
  readonly image: string | null;
  readonly defaultPort: number | null;
  readonly defaultResources: TemplateResources;
  readonly environmentVariables: Readonly<Record<string, string>>;
  /** Run once, at the first start of an environment. */
  readonly startupCommands: readonly string[];
  /** The image's own files cannot be written to, on runtimes that can see to that. Clients are not told of it. */
  readonly readOnlyRoot: boolean;
  readonly status: TemplateStatus;
  readonly iconUrl: string | null;
  readonly documentationUrl: string | null;
}

export interface Template extends TemplateDefinition {
  readonly id: string;
  /** Grows by one with each change; environments pin the one they were made from. */
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** The template whose image the caller gives. */
export const CUSTOM_TEMPLATE = 'custom';
