import { AuditTrail } from '@devpocket/audit';
import { type RequestOrigin } from '@devpocket/http';
import { Clock, DomainError, type Page, type PageRequest } from '@devpocket/kernel';
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { isDeepStrictEqual } from 'node:util';
import { BUILTIN_TEMPLATES } from './builtin-templates';
import { type Template, type TemplateDefinition, type TemplateStatus } from './template';
import { parseTemplates } from './template-file';
import { TemplateRepository } from './template.repository';

export type Written = 'created' | 'updated' | 'unchanged';

/** Who does it: an administrator, or nobody signed in (the command line). */
export interface TemplateActor extends Pick<RequestOrigin, 'ip' | 'requestId'> {
  readonly userId: string | null;
}

/** How old what is known of other servers' changes may be. */
const KNOWN_MS = 5_000;

@Injectable()
export class TemplatesService implements OnApplicationBootstrap {
  private known: { readonly until: number; readonly versions: Promise<ReadonlyMap<string, number>> } | null = null;

  constructor(
    private readonly templates: TemplateRepository,
    private readonly audit: AuditTrail,
    private readonly clock: Clock,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.seed({ force: false });
  }

  /** The version of each template that is offered, by name; of other servers' changes it may be 5 s behind. */
  offered(): Promise<ReadonlyMap<string, number>> {
    const now = this.clock.millis();
    if (!this.known || this.known.until <= now) {
      const versions = this.templates.offered();
      this.known = { until: now + KNOWN_MS, versions };
      versions.catch(() => (this.known = null));
    }
    return this.known.versions;
  }

  list(filter: { readonly category?: string; readonly status?: TemplateStatus }, page: PageRequest): Promise<Page<Template>> {
    return this.templates.list(filter, page);
  }

  find(name: string): Promise<Template | null> {
    return this.templates.find(name);
  }

  /** @throws DomainError `not_found` */
  async get(name: string): Promise<Template> {
    const found = await this.templates.find(name);
    if (!found) throw DomainError.notFound('Template');
    return found;
  }

  /**
   * Adds the built-in templates that are missing; with `force` those that were changed become what they were.
   * @param actor null: the server itself, which leaves no trail
   */
  seed({ force }: { readonly force: boolean }, actor: TemplateActor | null = null): Promise<Readonly<Record<string, Written>>> {
    return this.writeAll(BUILTIN_TEMPLATES, force, actor);
  }

  /**
   * Adds or changes the templates of YAML texts; environments keep the version that they were made from.
   * @throws DomainError 422; then nothing was written
   */
  load(
    files: readonly { readonly name: string; readonly text: string }[],
    actor: TemplateActor,
  ): Promise<Readonly<Record<string, Written>>> {
    const definitions = files.flatMap(({ name, text }) => parseTemplates(text, name));
    const twice = definitions.find(({ name }, at) => definitions.findIndex((other) => other.name === name) !== at);
    if (twice) throw DomainError.invalid({ field: twice.name, code: 'named_twice', message: 'is there more than once' });
    return this.writeAll(definitions, true, actor);
  }

  /** @throws DomainError `name_taken` */
  async create(actor: TemplateActor, definition: TemplateDefinition): Promise<Template> {
    if (!(await this.templates.insert(definition))) throw nameTaken(definition.name);
    await this.record(actor, 'template.created', definition.name, 1);
    return this.get(definition.name);
  }

  /** A new version; environments keep the one that they were made from. @throws DomainError `not_found` */
  async change(actor: TemplateActor, definition: TemplateDefinition): Promise<Template> {
    await this.get(definition.name);
    await this.write(definition, true, actor);
    return this.get(definition.name);
  }

  /** It is offered no more; environments that were made from it go on. @throws DomainError `not_found` */
  async deprecate(actor: TemplateActor, name: string): Promise<Template> {
    const { id: _id, version: _version, createdAt: _created, updatedAt: _updated, ...said } = await this.get(name);
    await this.write({ ...said, status: 'deprecated' }, true, actor);
    return this.get(name);
  }

  private async writeAll(
    definitions: readonly TemplateDefinition[],
    overwrite: boolean,
    actor: TemplateActor | null,
  ): Promise<Readonly<Record<string, Written>>> {
    const written: Record<string, Written> = {};
    for (const definition of definitions) written[definition.name] = await this.write(definition, overwrite, actor);
    return written;
  }

  private async write(definition: TemplateDefinition, overwrite: boolean, actor: TemplateActor | null): Promise<Written> {
    const { name, status } = definition;
    for (;;) {
      const present = await this.templates.find(name);
      if (!present) {
        if (!(await this.templates.insert(definition))) continue; // somebody else was faster
        await this.record(actor, 'template.created', name, 1);
        return 'created';
      }
      if (!overwrite || isSame(present, definition)) return 'unchanged';
      if (!(await this.templates.replace(definition, present.version))) continue; // somebody else wrote it meanwhile: look again
      const isEnd = status === 'deprecated' && present.status === 'active';
      await this.record(actor, isEnd ? 'template.deprecated' : 'template.changed', name, present.version + 1);
      return 'updated';
    }
  }

  private async record(actor: TemplateActor | null, action: string, name: string, version: number): Promise<void> {
    this.known = null;
    if (!actor) return;
    const { userId, ip, requestId } = actor;
    const target = `template:${name}`;
    await this.audit.record({ actor: userId, action, target, result: 'success', ip, requestId, details: { version } });
  }
}

function nameTaken(name: string): DomainError {
  return new DomainError('duplicate', 'name_taken', `There is a template ${name} already`);
}

/** Whatever the order of members: that of variables says nothing. */
function isSame(present: Template, definition: TemplateDefinition): boolean {
  const { id: _id, version: _version, createdAt: _created, updatedAt: _updated, ...said } = present;
  return isDeepStrictEqual(said, definition);
}
