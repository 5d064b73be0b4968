import { SettingsError } from '@devpocket/config';
import { Command } from 'nest-commander';
import { Backend } from '../backend';
import { CliSettings } from '../cli-settings';
import { failed, type Finding, lineOf } from '../doctor';
import { type OutputOptions, report, ReportingCommand } from '../output';
import { UserError } from '../user-error';

@Command({
  name: 'doctor',
  description: 'Check settings, files, disk, database, clock, runtime, clusters and mail, and say how to mend what is wrong',
})
export class DoctorCommand extends ReportingCommand {
  constructor(
    private readonly backend: Backend,
    private readonly settings: CliSettings,
  ) {
    super();
  }

  async run(_args: string[], options: OutputOptions): Promise<void> {
    const findings = await this.examine();
    const count = (status: Finding['status']): number => findings.filter((one) => one.status === status).length;
    const [faults, warnings] = [count('failed'), count('warning')];
    const status = faults > 0 ? 'failed' : warnings > 0 ? 'warning' : 'ok';
    const problem = faults > 0 ? new UserError(`${faults} failed, ${warnings} warnings`, 1) : null;
    report(options, { status, checks: findings }, findings.map(lineOf).join(''), problem);
  }

  private async examine(): Promise<readonly Finding[]> {
    try {
      this.settings.get();
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error;
      return error.faults.map(({ variable, problem, example }) =>
        failed('settings', `${variable} ${problem}`, `for example ${variable}=${example}`),
      );
    }
    const settings = this.settings.get();
    const [{ examineMachine }, { examineDatabase, examineServices }, { examineLocalRuntime }, { examineEngine }] =
      await Promise.all([
        import('../doctor-machine.js'),
        import('../doctor-database.js'),
        import('../local-machine.js'),
        import('../container-engine.js'),
      ]);
    const grounds = { local: examineLocalRuntime, engine: examineEngine };
    const machine = await examineMachine(settings, this.settings.envFile());
    const mend =
      settings.database.url === null
        ? 'see DATA_DIR and who uses it'
        : 'see that MongoDB runs and MONGODB_URL has its address and password';
    const database = await this.backend
      .open(examineDatabase)
      .catch((error: unknown) => [failed('database', error instanceof Error ? error.message : String(error), mend)]);
    // Services write while they start: not on a database of another shape, or none.
    const fit = database.every(({ name, status }) => status === 'ok' || name === 'clock');
    const rest = fit
      ? await this.backend.use((services) => examineServices(services, settings, grounds), { prepare: false })
      : [];
    return [...machine, ...database, ...rest];
  }
}
