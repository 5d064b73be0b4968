import { DomainError } from '@devpocket/kernel';
import { openTestDatabase, type TestDatabase } from '@testing/database';
import { ManualClock } from '@testing/kernel';
import { type Model } from 'mongoose';
import { BUILTIN_TEMPLATES } from './builtin-templates';
import { parseTemplates } from './template-file';
import { TemplateRepository } from './template.repository';
import { TemplateRecord, TemplateSchema } from './template.schema';
import { TemplatesService } from './templates.service';

const YAML = `
name: zig
display_name: Zig
category: language
image: example.org/zig:1
default_resources: { cpu: 500m, memory: 1Gi, storage: 5Gi }
`;

function fieldsOf(text: string): readonly string[] {
  try {
    parseTemplates(text, 'f.yaml');
    return [];
  } catch (error) {
    if (error instanceof DomainError) return error.errors.map(({ field }) => field);
    throw error;
  }
}

describe('a template file', () => {
  it('holds one or many', () => {
    expect(parseTemplates(YAML, 'f.yaml')).toMatchObject([
      { name: 'zig', image: 'example.org/zig:1', status: 'active', tags: [] },
    ]);
    expect(parseTemplates(`${YAML}---\n${YAML}`, 'f.yaml')).toHaveLength(2);
    expect(parseTemplates(`${YAML}read_only_root: true\n---\n${YAML}`, 'f.yaml').map(({ readOnlyRoot }) => readOnlyRoot)).toEqual(
      [true, false],
    );
  });

  it.each([
    ['a: [', ['f.yaml']],
    [YAML.replace('zig\n', 'Zig!\n'), ['f.yaml[1].name']],
    [YAML.replace('500m', '500x'), ['f.yaml[1].default_resources.cpu']],
    [`${YAML}environment_variables: { "1A": b }\n`, ['f.yaml[1].environment_variables.1A']],
    [`${YAML}images: x\n`, ['f.yaml[1].images']],
    [YAML.replace('example.org/zig:1', 'null'), ['f.yaml[1].image']],
    [`${YAML}read_only_root: 1\n`, ['f.yaml[1].read_only_root']],
  ])('names what is wrong', (text, fields) => {
    expect(fieldsOf(text)).toEqual(fields);
  });
});

describe('templates', () => {
  let database: TestDatabase;
  let service: TemplatesService;
  beforeAll(async () => {
    database = await openTestDatabase();
    const model = database.connection.model(TemplateRecord.name, TemplateSchema) as unknown as Model<TemplateRecord>;
    await model.createIndexes();
    service = new TemplatesService(new TemplateRepository(model, new ManualClock()));
  });
  afterAll(() => database.close());

  it('are seeded once by any number of servers at a time, and not over what was changed', async () => {
    const results = await Promise.all([1, 2, 3, 4].map(() => service.seed({ force: false })));
    const created = results.flatMap((result) => Object.values(result)).filter((written) => written === 'created');
    expect(created).toHaveLength(BUILTIN_TEMPLATES.length);
    await service.load([{ name: 'f.yaml', text: YAML.replace('name: zig', 'name: rust') }]);
    await service.seed({ force: false });
    expect(await service.get('rust')).toMatchObject({ displayName: 'Zig', version: 2 });
    expect(await service.seed({ force: true })).toMatchObject({ rust: 'updated', ubuntu: 'unchanged' });
    expect(await service.get('rust')).toMatchObject({ displayName: 'Rust', version: 3 });
  });

  it('of several files are written all or none', async () => {
    const files = [
      { name: 'a.yaml', text: YAML },
      { name: 'b.yaml', text: 'name: 1' },
    ];
    expect(() => service.load(files)).toThrow(DomainError);
    expect(await service.find('zig')).toBeNull();
  });

  it('are told by name and filtered', async () => {
    const { items } = await service.list({ category: 'language' }, { limit: 100, after: null });
    expect(items.map(({ name }) => name).sort()).toEqual(['golang', 'nodejs', 'python', 'rust']);
    await expect(service.get('absent')).rejects.toMatchObject({ code: 'not_found' });
  });
});
