import { type AuditEntry, AuditTrail } from '@devpocket/audit';
import { DomainError } from '@devpocket/kernel';
import { openTestDatabase, type TestDatabase } from '@testing/database';
import { ManualClock } from '@testing/kernel';
import { type Model } from 'mongoose';
import { BUILTIN_TEMPLATES } from './builtin-templates';
import { parseTemplates } from './template-file';
import { TemplateRepository } from './template.repository';
import { TemplateRecord, TemplateSchema } from './template.schema';
import { isImageReference } from './image-reference';
import { type TemplateActor, TemplatesService } from './templates.service';

const YAML = `
name: zig
display_name: Zig
category: language
image: example.org/zig:1
default_resources: { cpu: 500m, memory: 1Gi, storage: 5Gi }
`;

const OPERATOR: TemplateActor = { userId: null, ip: null, requestId: 'request-1' };
const clock = new ManualClock();

class KeptTrail extends AuditTrail {
  readonly kept: AuditEntry[] = [];

  override record(entry: AuditEntry): Promise<void> {
    this.kept.push(entry);
    return Promise.resolve();
  }
}

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
    ['', ['f.yaml']],
    ['# nothing\n---\n', ['f.yaml']],
    [YAML.replace('500m', '0m'), ['f.yaml[1].default_resources.cpu']],
    [YAML.replace('example.org/zig:1', 'Zig:1'), ['f.yaml[1].image']],
    [`${YAML}startup_commands: ["  "]\n`, ['f.yaml[1].startup_commands.0']],
    [`${YAML}startup_commands: ["a\\0b"]\n`, ['f.yaml[1].startup_commands.0']],
    [`${YAML}environment_variables: { A: "${'x'.repeat(33_000)}" }\n`, ['f.yaml[1].environment_variables']],
  ])('names what is wrong', (text, fields) => {
    expect(fieldsOf(text)).toEqual(fields);
  });
});

describe('the reference of an image', () => {
  const digest = `sha256:${'a'.repeat(64)}`;

  it.each([
    'ubuntu',
    'ubuntu:24.04',
    'library/python:3.14-slim',
    'docker.io/library/python',
    'localhost/own:1',
    'localhost:5000/team/own__tool:V1.0_a',
    `example.org/a-b.c/d@${digest}`,
    `example.org/a:1@${digest}`,
  ])('is %s', (text) => expect(isImageReference(text)).toBe(true));

  it.each([
    '',
    'Ubuntu',
    'a b',
    'a/',
    '/a',
    'a:',
    'a:b:c',
    'a@sha256:1',
    `a@${digest}@${digest}`,
    'http://a.b/c',
    'a..b',
    '-a',
    'a;rm',
    'é',
  ])('is not %j', (text) => expect(isImageReference(text)).toBe(false));
});

describe('templates', () => {
  const trail = new KeptTrail(undefined as never, clock);
  let database: TestDatabase;
  let service: TemplatesService;
  beforeAll(async () => {
    database = await openTestDatabase();
    const model = database.connection.model(TemplateRecord.name, TemplateSchema) as unknown as Model<TemplateRecord>;
    await model.createIndexes();
    service = new TemplatesService(new TemplateRepository(model, clock), trail, clock);
  });
  afterAll(() => database.close());

  it('are seeded once by any number of servers at a time, and not over what was changed', async () => {
    const results = await Promise.all([1, 2, 3, 4].map(() => service.seed({ force: false })));
    const created = results.flatMap((result) => Object.values(result)).filter((written) => written === 'created');
    expect(created).toHaveLength(BUILTIN_TEMPLATES.length);
    await service.load([{ name: 'f.yaml', text: YAML.replace('name: zig', 'name: rust') }], OPERATOR);
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
    expect(() => service.load(files, OPERATOR)).toThrow(DomainError);
    expect(await service.find('zig')).toBeNull();
  });

  it('loaded twice at a time are refused', () => {
    expect(() => service.load([{ name: 'a.yaml', text: `${YAML}---\n${YAML}` }], OPERATOR)).toThrow(DomainError);
  });

  it('leave a trail of what was changed, and none of what was not', async () => {
    const written = async (text: string): Promise<readonly unknown[]> => {
      trail.kept.length = 0;
      await service.load([{ name: 'f.yaml', text }], OPERATOR);
      return trail.kept.map(({ action, target, details, requestId }) => [action, target, details, requestId]);
    };
    const named = YAML.replace('name: zig', 'name: trailed');
    const entry = (action: string, version: number) => [[action, 'template:trailed', { version }, 'request-1']];
    expect(await written(named)).toEqual(entry('template.created', 1));
    expect(await written(named)).toEqual([]);
    expect(await written(named.replace('zig:1', 'zig:2'))).toEqual(entry('template.changed', 2));
    expect(await written(`${named.replace('zig:1', 'zig:2')}status: deprecated\n`)).toEqual(entry('template.deprecated', 3));
    trail.kept.length = 0;
    await service.seed({ force: true });
    expect(trail.kept).toEqual([]);
  });

  it('offer their versions, the own ones at once and those of other servers soon', async () => {
    await service.load([{ name: 'f.yaml', text: YAML.replace('name: zig', 'name: offered') }], OPERATOR);
    expect((await service.offered()).get('offered')).toBe(1);
    await service.load(
      [{ name: 'f.yaml', text: YAML.replace('name: zig', 'name: offered').replace('zig:1', 'zig:2') }],
      OPERATOR,
    );
    expect((await service.offered()).get('offered')).toBe(2);
    await database.connection.collection('templates').updateOne({ name: 'offered' }, { $set: { version: 3 } });
    expect((await service.offered()).get('offered')).toBe(2);
    clock.push(5_000);
    expect((await service.offered()).get('offered')).toBe(3);
    await service.deprecate(OPERATOR, 'offered');
    expect((await service.offered()).has('offered')).toBe(false);
  });

  it('are told by name and filtered', async () => {
    const { items } = await service.list({ category: 'language' }, { limit: 100, after: null });
    expect(items.map(({ name }) => name).sort()).toEqual(['golang', 'nodejs', 'offered', 'python', 'rust', 'trailed']);
    await expect(service.get('absent')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('are the same with their members and variables in another order', async () => {
    const load = (variables: string) =>
      service.load(
        [{ name: 'f.yaml', text: `environment_variables: ${variables}\n${YAML.replace('name: zig', 'name: ordered')}` }],
        OPERATOR,
      );
    expect(await load('{ A: "1", B: "2" }')).toEqual({ ordered: 'created' });
    expect(await load('{ B: "2", A: "1" }')).toEqual({ ordered: 'unchanged' });
    expect(await load('{ B: "2", A: "3" }')).toEqual({ ordered: 'updated' });
  });
});
