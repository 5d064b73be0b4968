import { Command, CommandRunner, Option, SubCommand } from 'nest-commander';
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type OutputOptions, report, ReportingCommand } from '../output';

/** Built, both apps stand side by side. */
const PRINTER = join(__dirname, '../../../api/src/documents/print.js');
const MOST_BYTES = 64 * 1_048_576;

interface ExportFlags extends OutputOptions {
  readonly out?: string;
  readonly asyncapi?: string;
}

@SubCommand({ name: 'export', description: 'Write the OpenAPI and AsyncAPI documents; needs no database and no settings' })
export class OpenapiExportCommand extends ReportingCommand {
  async run(_args: string[], options: ExportFlags): Promise<void> {
    const { out = 'openapi.json', asyncapi } = options;
    const { stdout } = await promisify(execFile)(process.execPath, [PRINTER], { maxBuffer: MOST_BYTES });
    const documents = JSON.parse(stdout) as { openapi: string; asyncapi: string };
    const files = [
      [resolve(out), documents.openapi],
      [resolve(asyncapi ?? join(dirname(out), 'asyncapi.json')), documents.asyncapi],
    ] as const;
    for (const [file, text] of files) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
    const written = files.map(([file]) => file);
    report(options, { written }, written.map((file) => `wrote ${file}\n`).join(''));
  }

  @Option({ flags: '--out <file>', description: 'the OpenAPI document (default: openapi.json)' })
  out(value: string): string {
    return value;
  }

  @Option({ flags: '--asyncapi <file>', description: 'the AsyncAPI document (default: asyncapi.json beside it)' })
  asyncapi(value: string): string {
    return value;
  }
}

@Command({ name: 'openapi', description: 'The documents of the API', subCommands: [OpenapiExportCommand] })
export class OpenapiCommand extends CommandRunner {
  run(): Promise<void> {
    this.command.help();
  }
}
