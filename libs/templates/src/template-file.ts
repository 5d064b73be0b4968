import { DomainError, type FieldError } from '@devpocket/kernel';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { isImageReference } from './image-reference';
import { CUSTOM_TEMPLATE, TEMPLATE_STATUSES, type TemplateDefinition } from './template';

const QUANTITY = /^\d+(\.\d+)?(m|[kMGTPE]|[KMGTPE]i)?$/;
const MOST_VARIABLES = 100;
const MOST_VARIABLE_BYTES = 32 * 1024;
/** What neither a shell, an environment nor UTF-8 can hold. */
const isPlain = (text: string): boolean => !text.includes('\0') && text.isWellFormed();
const plain = (most: number) =>
  z.string().min(1).max(most).refine(isPlain, 'must not contain a NUL character or a lone surrogate');
const command = z
  .string()
  .max(4096)
  .refine(isPlain, 'must not contain a NUL character or a lone surrogate')
  .refine((text) => text.trim() !== '', 'must not be blank');
const quantity = z
  .string()
  .max(32)
  .regex(QUANTITY, 'must be a Kubernetes quantity such as 500m, 2 or 1.5Gi')
  .refine((text) => /[1-9]/.test(text), 'must be above zero');
const variables = z
  .record(
    z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be a variable name'),
    z.string().refine(isPlain, 'must not contain a NUL character or a lone surrogate'),
  )
  .refine((all) => Object.keys(all).length <= MOST_VARIABLES, `must be at most ${MOST_VARIABLES}`)
  .refine(
    (all) =>
      Object.entries(all).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), 0) <=
      MOST_VARIABLE_BYTES,
    `must be at most ${MOST_VARIABLE_BYTES} bytes in all`,
  );
const link = z
  .url({ protocol: /^https?$/, error: 'must be an http(s) URL' })
  .nullable()
  .default(null);

/** What a template says; members as in the API. */
const RULES = z.strictObject({
  name: z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?$/, 'must be 1–50 of lower-case letters, digits and -'),
  display_name: plain(100),
  description: z.string().max(1000).refine(isPlain, 'must not contain a NUL character or a lone surrogate').default(''),
  category: plain(50),
  tags: z.array(plain(50)).max(20).default([]),
  image: z
    .string()
    .max(500)
    .refine(isImageReference, 'must be an image reference such as docker.io/library/python:3.14')
    .nullable(),
  default_port: z.int().min(1).max(65535).nullable().default(null),
  default_resources: z.strictObject({ cpu: quantity, memory: quantity, storage: quantity }),
  environment_variables: variables.default({}),
  startup_commands: z.array(command).max(50).default([]),
  read_only_root: z.boolean().default(false),
  status: z.enum(TEMPLATE_STATUSES).default('active'),
  icon_url: link,
  documentation_url: link,
});
type Data = z.output<typeof RULES>;

/**
 * The templates of a YAML text, one a document or several as a list; members as in the API.
 * @throws DomainError 422 naming `<file>[<number>].<field>`
 */
export function parseTemplates(text: string, file: string): readonly TemplateDefinition[] {
  const documents = parseAllDocuments(text);
  const broken = documents.flatMap((document) => document.errors)[0];
  if (broken) throw DomainError.invalid({ field: file, code: 'invalid_yaml', message: `is not YAML: ${broken.message}` });
  const items = documents.flatMap((document): unknown[] => [document.toJS() as unknown].flat()).filter((item) => item !== null);
  if (items.length === 0) throw DomainError.invalid({ field: file, code: 'empty', message: 'holds no template' });
  const read = items.map((item, index) => readDefinition(item, [`${file}[${index + 1}]`]));
  const errors = read.flatMap((one) => (isFaulty(one) ? one : []));
  if (errors.length > 0) throw DomainError.invalid(...errors);
  return read.flatMap((one) => (isFaulty(one) ? [] : one));
}

/** @throws DomainError 422 naming each faulty field */
export function parseTemplate(item: unknown): TemplateDefinition {
  const read = readDefinition(item, []);
  if (isFaulty(read)) throw DomainError.invalid(...read);
  return read;
}

const isFaulty = (read: TemplateDefinition | readonly FieldError[]): read is readonly FieldError[] => Array.isArray(read);

/** The definition, or what is wrong with it. */
function readDefinition(item: unknown, within: readonly string[]): TemplateDefinition | readonly FieldError[] {
  const result = RULES.safeParse(item);
  const fault = (path: readonly string[], code: string, message: string): FieldError => ({
    field: [...within, ...path].join('.'),
    code,
    message,
  });
  if (result.success) {
    const { name, image } = result.data;
    if ((image === null) === (name === CUSTOM_TEMPLATE)) return toDefinition(result.data);
    return [fault(['image'], 'invalid_image', `is null for the template ${CUSTOM_TEMPLATE} and for no other`)];
  }
  return result.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => fault([...issue.path.map(String), key], 'unknown_field', 'is not a field of a template'))
      : [fault(issue.path.map(String), issue.code, issue.message)],
  );
}

function toDefinition(data: Data): TemplateDefinition {
  return {
    name: data.name,
    displayName: data.display_name,
    description: data.description,
    category: data.category,
    tags: data.tags,
    image: data.image,
    defaultPort: data.default_port,
    defaultResources: data.default_resources,
    environmentVariables: data.environment_variables,
    startupCommands: data.startup_commands,
    readOnlyRoot: data.read_only_root,
    status: data.status,
    iconUrl: data.icon_url,
    documentationUrl: data.documentation_url,
  };
}
