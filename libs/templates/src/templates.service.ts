import { DomainError, type Page, type PageRequest } from '@devpocket/kernel';
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { BUILTIN_TEMPLATES } from './builtin-templates';
import { type Template, type TemplateDefinition, type TemplateStatus } from './template';
import { parseTemplates } from './template-file';
import { TemplateRepository } from './template.repository';

export type Written = 'created' | 'updated' | 'unchanged';

@Injectable()
export class TemplatesService implements OnApplicationBootstrap {
  constructor(private readonly templates: TemplateRepository) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.seed({ force: false });
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

  /** Adds the built-in templates that are missing; with `force` those that were changed become what they were. */
  seed({ force }: { readonly force: boolean }): Promise<Readonly<Record<string, Written>>> {
    return this.writeAll(BUILTIN_TEMPLATES, force);
  }

  /**
   * Adds or changes the templates of YAML texts; environments keep the version that they were made from.
   * @throws DomainError 422; then nothing was written
   */
  load(files: readonly { readonly name: string; readonly text: string }[]): Promise<Readonly<Record<string, Written>>> {
    return this.writeAll(
      files.flatMap(({ name, text }) => parseTemplates(text, name)),
      true,
    );
  }

  /** @throws DomainError `name_taken` */
  async create(definition: TemplateDefinition): Promise<Template> {
    if (!(await this.templates.insert(definition))) throw nameTaken(definition.name);
    return this.get(definition.name);
  }

  /** A new version; environments keep the one that they were made from. @throws DomainError `not_found` */
  async change(definition: TemplateDefinition): Promise<Template> {
    await this.get(definition.name);
    await this.write(definition, true);
    return this.get(definition.name);
  }

  /** It is offered no more; environments that were made from it go on. @throws DomainError `not_found` */
  async deprecate(name: string): Promise<void> {
    const { id: _id, version: _version, createdAt: _created, updatedAt: _updated, ...said } = await this.get(name);
    await this.write({ ...said, status: 'deprecated' }, true);
  }

  private async writeAll(
    definitions: readonly TemplateDefinition[],
    overwrite: boolean,
  ): Promise<Readonly<Record<string, Written>>> {
    const written: Record<string, Written> = {};
    for (const definition of definitions) written[definition.name] = await this.write(definition, overwrite);
    return written;
  }

  private async write(definition: TemplateDefinition, overwrite: boolean): Promise<Written> {
    for (;;) {
      const present = await this.templates.find(definition.name);
      if (!present) {
        if (await this.templates.insert(definition)) return 'created';
      } else if (!overwrite || isSame(present, definition)) return 'unchanged';
      else if (await this.templates.replace(definition, present.version)) return 'updated';
      // somebody else wrote it meanwhile: look again
    }
  }
}

function nameTaken(name: string): DomainError {
  return new DomainError('duplicate', 'name_taken', `There is a template ${name} already`);
}

function isSame(present: Template, definition: TemplateDefinition): boolean {
  const { id: _id, version: _version, createdAt: _created, updatedAt: _updated, ...said } = present;
  const sorted = (value: object): string => JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  return sorted(said) === sorted(definition);
}
