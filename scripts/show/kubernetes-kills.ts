/*
 * Kills the server with SIGKILL between every pair of the calls that a create and a delete make to a real cluster: a proxy holds
 * the k-th call of the k-th user's environment, before it arrives or before its answer comes back; when all are held the server is
 * killed and started again. Every environment must then become usable, or be gone with all that was made for it; nothing may be
 * there twice, limits count exactly, and a shell of somebody else goes on.
 *
 *   KUBECONFIG=… npm run show:kubernetes-kills [-- --short]
 */
import { ApiError } from '@devpocket/client';
import { type ApiCall, type ApiProxy, isWatch, openProxy, serverKubeConfig, TEST_IMAGE } from '@testing/runtime-kubernetes';
import { parseArgs } from 'node:util';
import { ServerRig, type Shell } from '../../apps/api/testing';

const { values } = parseArgs({ options: { short: { type: 'boolean' } } });
/** As many as the reconciler takes at once, and some room: all of a wave are held at the same time. */
const WAVE = 15;
/** A held call is given up by its caller a little later. */
const HOLD_MS = 12_000;
/** A lease of the killed server, and what is left of the work. */
const SETTLE_MS = 90_000;

/** With everything that an environment may have: a port and commands of its own. */
const TEMPLATE = `
name: whole
display_name: Whole
category: system
image: ${TEST_IMAGE}
default_port: 8080
default_resources: { cpu: 100m, memory: 64Mi, storage: 16Mi }
startup_commands: ['echo begun']
`;

type Act = 'create' | 'delete';
type Hold = 'hold_call' | 'hold_answer';

interface Cut {
  readonly at: number;
  readonly hold: Hold;
}

/** One user with one environment, and how many calls were made for it in the act that goes on. */
class Subject {
  environmentId = '';
  calls: ApiCall[] = [];
  held: ApiCall | null = null;
  cut: Cut | null = null;

  constructor(
    readonly name: string,
    readonly userId: string,
  ) {}

  begin(cut: Cut | null): void {
    this.calls = [];
    this.held = null;
    this.cut = cut;
  }

  /** Nothing is held twice: what is asked again after a kill goes through. */
  fateOf(call: ApiCall): 'pass' | Hold {
    this.calls.push(call);
    if (this.calls.length !== this.cut?.at) return 'pass';
    this.held = call;
    return this.cut.hold;
  }
}

const faults: string[] = [];
const say = (text: string): void => void process.stdout.write(`${text}\n`);
function fault(text: string): void {
  faults.push(text);
  say(`FAULT ${text}`);
}

class Show {
  readonly rig = new ServerRig();
  private readonly subjects = new Map<string, Subject>();
  private proxy: ApiProxy | null = null;
  private clusterId = '';
  private others = 0;
  kills = 0;

  async open(): Promise<void> {
    await this.rig.start();
    const proxy = await openProxy(serverKubeConfig());
    proxy.fate = (call) => {
      const [, userId = ''] = /\/namespaces\/dp-[^-/]+-([0-9a-f]{24})/.exec(call.url) ?? [];
      const passes = isWatch(call) || /\/(exec|log)\?/.test(call.url);
      return passes ? 'pass' : (this.subjects.get(userId)?.fateOf(call) ?? 'pass');
    };
    this.proxy = proxy;
    await this.rig.addTemplate(TEMPLATE);
    this.clusterId = await this.rig.addCluster('held', {}, proxy.kubeConfig);
  }

  async close(): Promise<void> {
    await this.rig.close();
    await this.proxy?.stop();
  }

  async subject(name: string): Promise<Subject> {
    await this.rig.user(name);
    const { id } = await this.rig.ask('GET', '/auth/me', undefined, { user: name });
    const subject = new Subject(name, String(id));
    this.subjects.set(subject.userId, subject);
    return subject;
  }

  /** A shell that nobody means goes on through every kill. @returns looks whether it did */
  async bystander(): Promise<() => Promise<void>> {
    const user = 'bystander';
    await this.rig.user(user);
    const id = await this.rig.create('watched', {}, { user });
    await this.rig.reachStatus(id, 'running', { user });
    this.others = await this.counted();
    const shell = await this.rig.shell(id, { user });
    const { session_id: session } = await shell.told('welcome');
    shell.type('echo pi""d-$$-\n');
    const pid = await shell.hears(/pid-(\d+)-/);
    return async () => {
      const again = await this.rig.shell(id, { user, query: `&session_id=${String(session)}` });
      await again.told('welcome');
      again.type('echo sa""me-$$-\n');
      const now = await again.hears(/same-(\d+)-/).catch((error: unknown) => String(error));
      if (now !== pid) fault(`the shell ${pid} of a bystander is now ${now}`);
      await this.rig.remove(id, user);
    };
  }

  /** How many calls each act takes when nothing is held. */
  async count(): Promise<Readonly<Record<Act, number>>> {
    const subject = await this.subject('measure');
    await this.begin('create', subject, null);
    await this.rig.reachStatus(subject.environmentId, 'running', { user: subject.name });
    const create = subject.calls.length;
    await this.begin('delete', subject, null);
    await this.gone([subject]);
    return { create, delete: subject.calls.length };
  }

  /** All at once, and the server is killed when every one of them is held. */
  async cutOff(act: Act, subjects: readonly Subject[], cuts: readonly (Cut | null)[]): Promise<void> {
    await Promise.all(subjects.map((subject, at) => this.begin(act, subject, cuts[at] ?? null)));
    const waiting = (): readonly Subject[] => subjects.filter(({ cut, held }) => cut && !held);
    await this.rig.until(() => waiting().length === 0, 'not all are held', HOLD_MS).catch(() => undefined); // told of below
    const [server] = this.rig.servers;
    await server?.end('SIGKILL');
    this.kills += 1;
    for (const { name, cut, calls } of waiting()) say(`  ${name}: ${act} made ${calls.length} calls, none to hold at ${cut?.at}`);
    for (const subject of subjects) subject.cut = null;
    await server?.start();
  }

  async usable(subjects: readonly Subject[]): Promise<void> {
    const began = performance.now();
    await each(subjects, async ({ name: user, environmentId: id, held, userId }) => {
      await this.rig.reachStatus(id, 'running', { user, within: SETTLE_MS });
      const took = Math.round(performance.now() - began);
      const shell = await this.terminal(id, user);
      shell.type('echo us""able\n');
      await shell.hears('usable');
      shell.talk.socket.terminate();
      await this.expectRefusal(user, 'environment_limit_reached');
      say(`  ${user}: create, held ${describe(held)}: usable ${took} ms after the start`);
      const own = (await this.rig.cluster.left(userId)).filter((one) => !one.startsWith('serviceaccounts'));
      if (own.length !== 5 || !own.includes(`pods env-${id}-1`)) fault(`${user} has ${own.join(', ')}`);
    });
    const counted = await this.counted();
    const expected = subjects.length + this.others;
    if (counted !== expected) fault(`the cluster counts ${counted} environments, not ${expected}`);
  }

  async gone(subjects: readonly Subject[]): Promise<void> {
    const began = performance.now();
    await each(subjects, async ({ name: user, held, userId }) => {
      const left = (): Promise<readonly string[]> => this.rig.cluster.left(userId);
      await this.rig.until(async () => (await left()).length === 0, `${user} still has objects`, SETTLE_MS);
      const took = Math.round(performance.now() - began);
      if (held) say(`  ${user}: delete, held ${describe(held)}: gone ${took} ms after the start`);
    });
    const { items } = await this.rig.ask('GET', '/admin/orphans');
    if (Array.isArray(items) && items.length > 0) fault(`orphans: ${JSON.stringify(items)}`);
    await this.rig.until(async () => (await this.counted()) === this.others, 'the cluster still counts some');
  }

  /** Fills up to the plan's limits again: no place was lost, and none was made. */
  async exact({ name: user }: Subject): Promise<void> {
    const ids: string[] = [];
    for (let kept = 1; kept <= 3; kept += 1) {
      const id = await this.rig.create(`fill-${kept}`, {}, { user });
      ids.push(id);
      await this.rig.reachStatus(id, 'running', { user });
      await this.expectRefusal(user, 'environment_limit_reached');
      await this.rig.ask('POST', `/environments/${id}/stop`, undefined, { user });
      await this.rig.reachStatus(id, 'stopped', { user });
    }
    await this.expectRefusal(user, 'environment_limit_reached');
    await Promise.all(ids.map((id) => this.rig.remove(id, user)));
  }

  private async begin(act: Act, subject: Subject, cut: Cut | null): Promise<void> {
    const { name: user } = subject;
    subject.begin(cut);
    const whole = { template: 'whole', image: undefined, environment_variables: { A: 'b' } };
    if (act === 'create') subject.environmentId = await this.rig.create('one', whole, { user });
    else await this.rig.ask('DELETE', `/environments/${subject.environmentId}`, undefined, { user });
  }

  /** A busy cluster may refuse one for a moment, and say so. */
  private async terminal(id: string, user: string): Promise<Shell> {
    for (const end = performance.now() + SETTLE_MS; ;) {
      const shell = await this.rig.shell(id, { user });
      try {
        await shell.told('welcome');
        return shell;
      } catch (error) {
        const code = shell.talk.messages.at(-1)?.code;
        if (code !== 'unavailable' || performance.now() > end) throw error;
      }
    }
  }

  private async expectRefusal(user: string, code: string): Promise<void> {
    const said = await this.rig.create('one-more', {}, { user }).catch((error: unknown) => error);
    if (!(said instanceof ApiError) || said.code !== code) fault(`${user} may create one more: ${String(said)}`);
  }

  private async counted(): Promise<number> {
    return Number((await this.rig.ask('GET', `/clusters/${this.clusterId}`)).environments_count);
  }
}

function describe(call: ApiCall | null): string {
  return call ? `${call.method} ${call.url.replace(/\?.*/, '').replace(/^.*\/namespaces\/[^/]+/, '…')}` : 'nowhere';
}

async function each(subjects: readonly Subject[], work: (subject: Subject) => Promise<void>): Promise<void> {
  const told = (error: unknown): void => fault(error instanceof Error ? error.message : String(error));
  await Promise.all(subjects.map((subject) => work(subject).catch(told)));
}

async function main(): Promise<void> {
  const show = new Show();
  try {
    await show.open();
    const counts = await show.count();
    say(`a create takes ${counts.create} calls, a delete ${counts.delete}`);
    const lookAtBystander = await show.bystander();
    const most = Math.max(counts.create, counts.delete);
    const at = Array.from({ length: most }, (_, index) => index + 1);
    // In short every second call is held before it arrives, the others before they are answered.
    const cuts: readonly Cut[] = values.short
      ? at.map((one) => ({ at: one, hold: one % 2 ? 'hold_call' : 'hold_answer' }))
      : (['hold_call', 'hold_answer'] as const).flatMap((hold) => at.map((one) => ({ at: one, hold })));
    let last: Subject | null = null;
    for (let begin = 0; begin < cuts.length; begin += WAVE) {
      const wave = cuts.slice(begin, begin + WAVE);
      const subjects = await Promise.all(wave.map(({ at: one, hold }) => show.subject(`${hold.replace('hold_', '')}-${one}`)));
      await show.cutOff(
        'create',
        subjects,
        wave.map((cut) => (cut.at <= counts.create ? cut : null)),
      );
      await show.usable(subjects);
      await show.cutOff(
        'delete',
        subjects,
        wave.map((cut) => (cut.at <= counts.delete ? cut : null)),
      );
      await show.gone(subjects);
      last = subjects.at(-1) ?? null;
    }
    await lookAtBystander();
    if (last && !values.short) await show.exact(last);
    say(
      faults.length === 0
        ? `${cuts.length} places, ${show.kills} kills: nothing lost, nothing left behind`
        : `${faults.length} faults`,
    );
  } finally {
    await show.close();
  }
  process.exit(faults.length === 0 ? 0 : 1);
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});
