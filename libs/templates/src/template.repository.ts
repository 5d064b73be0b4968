import { duplicateKey, olderThan } from '@devpocket/database';
import { Clock, type Page, type PageRequest, toPage } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model } from 'mongoose';
import { type Template, type TemplateDefinition, type TemplateStatus } from './template';
import { TemplateRecord } from './template.schema';

@Injectable()
export class TemplateRepository {
  constructor(
    @InjectModel(TemplateRecord.name) private readonly templates: Model<TemplateRecord>,
    private readonly clock: Clock,
  ) {}

  async list(
    filter: { readonly category?: string; readonly status?: TemplateStatus },
    { limit, after }: PageRequest,
  ): Promise<Page<Template>> {
    const older = olderThan('created_at', after);
    const [records, total] = await Promise.all([
      this.templates
        .find({ ...filter, ...older })
        .sort({ created_at: -1, _id: -1 })
        .limit(limit + 1)
        .lean(),
      this.templates.countDocuments(filter),
    ]);
    return toPage(records.map(toTemplate), limit, total, ({ createdAt, id }) => ({ time: createdAt.getTime(), id }));
  }

  async find(name: string): Promise<Template | null> {
    const record = await this.templates.findOne({ name }).lean();
    return record && toTemplate(record);
  }

  /** The version of each that is offered, by name. */
  async offered(): Promise<ReadonlyMap<string, number>> {
    const records = await this.templates.find({ status: 'active' }, { name: 1, version: 1 }).lean();
    return new Map(records.map(({ name, version }) => [name, version]));
  }

  /** False when there is one of this name already. */
  async insert(definition: TemplateDefinition): Promise<boolean> {
    const now = this.clock.now();
    const fields = { ...toFields(definition), version: 1, created_at: now, updated_at: now };
    try {
      const result = await this.templates.updateOne({ name: definition.name }, { $setOnInsert: fields }, { upsert: true });
      return result.upsertedCount === 1;
    } catch (error) {
      if (duplicateKey(error)) return false; // another server was faster between the look and the insert
      throw error;
    }
  }

  /** Writes a new version over the one that was read. False when it changed meanwhile. */
  async replace(definition: TemplateDefinition, version: number): Promise<boolean> {
    const fields = { ...toFields(definition), version: version + 1, updated_at: this.clock.now() };
    const result = await this.templates.updateOne({ name: definition.name, version }, { $set: fields });
    return result.modifiedCount === 1;
  }
}

function toFields(definition: TemplateDefinition): Omit<TemplateRecord, '_id' | 'version' | 'created_at' | 'updated_at'> {
  return {
    name: definition.name,
    display_name: definition.displayName,
    description: definition.description,
    category: definition.category,
    tags: [...definition.tags],
    image: definition.image,
    default_port: definition.defaultPort,
    default_resources: { ...definition.defaultResources },
    environment_variables: { ...definition.environmentVariables },
    startup_commands: [...definition.startupCommands],
    read_only_root: definition.readOnlyRoot,
    status: definition.status,
    icon_url: definition.iconUrl,
    documentation_url: definition.documentationUrl,
  };
}

function toTemplate(record: TemplateRecord): Template {
  return {
    id: record._id.toHexString(),
    name: record.name,
    displayName: record.display_name,
    description: record.description,
    category: record.category,
    tags: record.tags,
    image: record.image,
    defaultPort: record.default_port,
    defaultResources: record.default_resources,
    environmentVariables: record.environment_variables,
    startupCommands: record.startup_commands,
    readOnlyRoot: record.read_only_root ?? false,
    version: record.version,
    status: record.status,
    iconUrl: record.icon_url,
    documentationUrl: record.documentation_url,
    createdAt: record.created_at,
    updatedAt: record.updated_at,
  };
}
