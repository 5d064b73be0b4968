import { type IndexReport } from '@devpocket/database';
import { SystemClock } from '@devpocket/kernel';
import { Command, CommandRunner, Option, SubCommand } from 'nest-commander';
import { join } from 'node:path';
import { Backend } from '../backend';
import { CliSettings } from '../cli-settings';
import { type OutputOptions, report, ReportingCommand } from '../output';
import { withProgress } from '../progress';
import { UserError } from '../user-error';

@SubCommand({ name: 'indexes', description: 'Make the indexes that are missing, and tell which there are' })
export class DbIndexesCommand extends ReportingCommand {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run(_args: string[], options: OutputOptions): Promise<void> {
    const { ensureIndexes } = await import('@devpocket/database');
    const made = await this.backend.use(
      ({ database }) => withProgress('Collections', options, (update) => ensureIndexes(database, update)),
      { prepare: false },
    );
    report(options, made, made.map(indexLines).join(''));
  }
}

function indexLines({ collection, made, kept, unexpected }: IndexReport): string {
  const told = [
    `${kept.length} kept`,
    ...(made.length === 0 ? [] : [`made: ${made.join(', ')}`]),
    ...(unexpected.length === 0 ? [] : [`unexpected, left as they are: ${unexpected.join(', ')}`]),
  ];
  return `${collection.padEnd(24)}  ${told.join('; ')}\n`;
}

@SubCommand({
  name: 'migrate',
  description: 'Bring the database to the shape that this version expects (a server does so at its start)',
})
export class DbMigrateCommand extends ReportingCommand {
  constructor(private readonly backend: Backend) {
    super();
  }

  async run(_args: string[], options: OutputOptions & { readonly check?: boolean }): Promise<void> {
    const { Migrator } = await import('@devpocket/database');
    const { done, status } = await this.backend.open(({ connection }) =>
      withProgress('Migration', options, async (update) => {
        const progress = (_id: string, part: number, total: number): void => update(part, total);
        const log = (line: string): void => void (options.json || process.stderr.write(`${line}\n`));
        const migrator = new Migrator(connection, new SystemClock(), { log, progress });
        const done = options.check ? [] : await migrator.run();
        return { done, status: await migrator.status() };
      }),
    );
    const { applied, pending, unknown } = status;
    const facts = { done, pending, unknown, applied: applied.map(({ id, at }) => ({ id, at: at.toISOString() })) };
    const lines = [
      ...done.map((id) => `${id}  done`),
      ...pending.map((id) => `${id}  to be done`),
      ...(done.length + pending.length === 0 ? [`Nothing to do; ${applied.length} done before`] : []),
    ];
    const open = options.check && pending.length > 0;
    const problem = open ? new UserError(`${pending.length} to be done: devpocket db migrate`, 1) : null;
    report(options, facts, lines.map((line) => `${line}\n`).join(''), problem);
  }

  @Option({ flags: '--check', description: 'only tell what there is to do; exit code 1 when there is something' })
  check(): boolean {
    return true;
  }
}

@SubCommand({
  name: 'backup',
  description:
    'Write the whole database into one file, while the server runs; it restores into MongoDB and the embedded database alike',
})
export class DbBackupCommand extends ReportingCommand {
  constructor(
    private readonly backend: Backend,
    private readonly settings: CliSettings,
  ) {
    super();
  }

  async run(_args: string[], options: OutputOptions & { readonly out?: string }): Promise<void> {
    const clock = new SystemClock();
    const { version, dataDir } = this.settings.get().app;
    const file = options.out ?? backupFile(dataDir, 'devpocket', clock.now());
    const { backUp } = await import('@devpocket/database');
    const made = await this.backend.open((database) =>
      withProgress('Documents', options, (progress) => backUp(database, file, { version, clock, progress })),
    );
    const documents = made.collections.reduce((sum, { count }) => sum + count, 0);
    const secrets = secretsOf(this.settings);
    const facts = { ...made, documents, not_included: { environments: join(dataDir, 'environments'), secrets } };
    const text = [
      `Wrote ${made.file}`,
      `  ${documents} documents of ${made.collections.length} collections, ${made.bytes} bytes, readable by you alone`,
      ...(made.consistent ? [] : ['  A standalone MongoDB has no snapshots: what was written meanwhile may be in it or not']),
      'It holds accounts, templates, clusters, records of environments and the audit trail. It does not hold:',
      `  the keys: keep ${secrets.join(' and ')}, without which nothing that is sealed in it (kubeconfigs) opens`,
      `  files of environments: with the local runtime they are in ${join(dataDir, 'environments')}, else in volumes`,
      '',
    ];
    report(options, facts, text.join('\n'));
  }

  @Option({ flags: '--out <file>', description: 'where to; it must not be there (default: DATA_DIR/backups, named by the time)' })
  out(value: string): string {
    return value;
  }
}

/** Where the keys are that a backup needs beside it. */
function secretsOf(settings: CliSettings): readonly string[] {
  const { dataDir } = settings.get().app;
  const kept = settings.keptKeys();
  return [
    kept.encryptionKey ? join(dataDir, 'encryption-key') : 'ENCRYPTION_KEY',
    kept.secretKey ? join(dataDir, 'secret-key') : 'SECRET_KEY',
  ];
}

function backupFile(dataDir: string, name: string, at: Date): string {
  return join(dataDir, 'backups', `${name}-${at.toISOString().replace(/[:.]/g, '-')}.bson.gz`);
}

@SubCommand({
  name: 'restore',
  arguments: '<file>',
  description: 'Put a backup in the place of the database. Every server must be stopped',
})
export class DbRestoreCommand extends ReportingCommand {
  constructor(
    private readonly backend: Backend,
    private readonly settings: CliSettings,
  ) {
    super();
  }

  async run([file = '']: string[], options: OutputOptions & { readonly force?: boolean }): Promise<void> {
    const clock = new SystemClock();
    const { version, dataDir } = this.settings.get().app;
    const { backUp, checkArchive, contentsOf, Migrator, restore } = await import('@devpocket/database');
    const archive = await withProgress('Checked', options, (update) =>
      checkArchive(file, (documents) => update(documents, documents)),
    );
    const saved = await this.backend.open(async (database) => {
      const { connection, handle } = database;
      if (handle.kind === 'joined') throw new UserError('A server is running on this database. Stop it first', 1);
      const held = await contentsOf(connection);
      if (held.length > 0 && !options.force) {
        const message = `The database ${database.settings.name} is not empty (${held.join(', ')}). With --force it is saved into a file first, then replaced`;
        throw new UserError(message, 1);
      }
      const { restoring } = await new Migrator(connection, clock, { log: () => undefined }).status();
      // What an earlier restore left half done is worth no copy.
      const before = held.length > 0 && restoring === null ? backupFile(dataDir, 'before-restore', clock.now()) : null;
      if (before !== null)
        await withProgress('Saved', options, (progress) => backUp(database, before, { version, clock, progress }));
      await withProgress('Restored', options, (progress) => restore(connection, archive, { clock, progress }));
      return before;
    });
    // As a server does at its start: whatever is wrong with it is told now.
    const unopened = await this.backend.use(({ keys }) => keys.unopened());
    const { database, source, created_at } = archive.header;
    const facts = {
      file: archive.file,
      version: archive.header.version,
      database,
      source,
      created_at: created_at.toISOString(),
      collections: archive.collections,
      documents: archive.documents,
      saved,
      unopened,
    };
    const text = [
      `Restored ${archive.documents} documents of ${archive.collections.length} collections, as they were ${created_at.toISOString()}`,
      ...(saved === null ? [] : [`What was there before is in ${saved}`]),
      'Files of environments and keys are not part of a backup: what has no files any more ends in `error` when it is started',
      '',
    ];
    const names = unopened.map(({ name, problem }) => `\n  ${name}: ${problem}`).join('');
    const problem =
      unopened.length === 0 ? null : new UserError(`Some secrets do not open with the keys of this server:${names}`, 1);
    report(options, facts, text.join('\n'), problem);
  }

  @Option({ flags: '--force', description: 'also into a database that is not empty; what is there is saved into a file first' })
  force(): boolean {
    return true;
  }
}

@Command({
  name: 'db',
  description: 'The database',
  subCommands: [DbIndexesCommand, DbMigrateCommand, DbBackupCommand, DbRestoreCommand],
})
export class DbCommand extends CommandRunner {
  run(): Promise<void> {
    this.command.help();
  }
}
