import { CUSTOM_TEMPLATE, type TemplateDefinition } from './template';

const RESOURCES = { cpu: '500m', memory: '1Gi', storage: '5Gi' };

type Part = Pick<TemplateDefinition, 'name' | 'displayName' | 'description' | 'category' | 'tags' | 'image'> &
  Partial<TemplateDefinition>;

function template(part: Part): TemplateDefinition {
  return {
    defaultPort: null,
    defaultResources: RESOURCES,
    environmentVariables: {},
    startupCommands: [],
    readOnlyRoot: false,
    status: 'active',
    iconUrl: null,
    documentationUrl: null,
    ...part,
  };
}

/** Writes a file unless there is one; needs neither network nor a language. */
function firstFile(name: string, lines: readonly string[]): string {
  return `[ -e ${name} ] || printf '%s\\n' ${lines.map((line) => `'${line}'`).join(' ')} > ${name}`;
}

/** Seeded at start. */
export const BUILTIN_TEMPLATES: readonly TemplateDefinition[] = [
  template({
    name: 'python',
    displayName: 'Python',
    description: 'Python with pip',
    category: 'language',
    tags: ['python'],
    image: 'docker.io/library/python:3.14-slim',
    defaultPort: 8000,
    environmentVariables: { PYTHONUNBUFFERED: '1' },
    startupCommands: [firstFile('main.py', ['print("Hello from DevPocket")'])],
    documentationUrl: 'https://docs.python.org/3/',
  }),
  template({
    name: 'nodejs',
    displayName: 'Node.js',
    description: 'Node.js with npm',
    category: 'language',
    tags: ['javascript', 'typescript', 'nodejs'],
    image: 'docker.io/library/node:26-slim',
    defaultPort: 3000,
    startupCommands: [firstFile('index.js', ['console.log("Hello from DevPocket");'])],
    documentationUrl: 'https://nodejs.org/docs/latest/api/',
  }),
  template({
    name: 'golang',
    displayName: 'Go',
    description: 'The Go toolchain',
    category: 'language',
    tags: ['go'],
    image: 'docker.io/library/golang:1.26',
    defaultPort: 8080,
    startupCommands: [
      firstFile('main.go', ['package main', '', 'import "fmt"', '', 'func main() { fmt.Println("Hello from DevPocket") }']),
    ],
    documentationUrl: 'https://go.dev/doc/',
  }),
  template({
    name: 'rust',
    displayName: 'Rust',
    description: 'Rust with cargo',
    category: 'language',
    tags: ['rust'],
    image: 'docker.io/library/rust:1-slim',
    defaultPort: 8080,
    startupCommands: ['mkdir -p src', firstFile('src/main.rs', ['fn main() { println!("Hello from DevPocket"); }'])],
    documentationUrl: 'https://doc.rust-lang.org/',
  }),
  template({
    name: 'ubuntu',
    displayName: 'Ubuntu',
    description: 'A plain Ubuntu with a shell',
    category: 'system',
    tags: ['linux', 'shell'],
    image: 'docker.io/library/ubuntu:24.04',
    documentationUrl: 'https://documentation.ubuntu.com/server/',
  }),
  template({
    name: CUSTOM_TEMPLATE,
    displayName: 'Custom image',
    description: 'An image of your own, where the server allows it',
    category: 'custom',
    tags: [],
    image: null,
  }),
];
