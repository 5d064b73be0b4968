import { isRecord } from '@devpocket/client';
import { eventually, type TestUser } from './index';
import { type Talk, talk } from './talk';

/** Of one step: a pod takes some seconds to end, a namespace some more. */
const LONGEST_MS = 60_000;

/** A server, in this process or anywhere else. */
export interface Served {
  readonly url: string;
  /** @param text YAML, as an operator would load it */
  addTemplate(text: string): Promise<unknown>;
}

/** Somebody's environments over HTTP and WebSocket, and what is left of them behind the server. */
export class LifeRig {
  constructor(
    readonly api: Served,
    private readonly user: () => TestUser,
    readonly image: string,
    /** What the runtime holds, as `kind name`. */
    readonly left: () => Promise<readonly string[]>,
  ) {}

  async ask(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
    const answer = await this.user().client.request(method, path, body);
    return isRecord(answer) ? answer : {};
  }

  async create(name: string, more: object = {}): Promise<string> {
    const made = await this.ask('POST', '/environments', { name, template: 'custom', image: this.image, ...more });
    return String(made.id);
  }

  reach(id: string, status: string): Promise<Record<string, unknown>> {
    return eventually(async () => {
      const seen = await this.ask('GET', `/environments/${id}`);
      return seen.status === status ? seen : null;
    }, LONGEST_MS);
  }

  async act(id: string, action: string, status: string): Promise<void> {
    await this.ask('POST', `/environments/${id}/${action}`);
    await this.reach(id, status);
  }

  /** Deletes what is left, and waits until the runtime holds nothing of it. */
  async remove(id: string): Promise<void> {
    await this.ask('DELETE', `/environments/${id}`);
    await this.untilGone(id);
  }

  async untilGone(id: string): Promise<void> {
    await eventually(async () => !(await this.left()).some((name) => name.includes(id)), LONGEST_MS);
  }

  async shellOf(id: string, size = 'cols=100&rows=30'): Promise<Talk> {
    const { ticket } = await this.ask('POST', `/environments/${id}/terminal-ticket`);
    const shell = talk(this.api.url, `/api/v1/ws/terminal/${id}?ticket=${String(ticket)}&${size}`);
    await eventually(() => Promise.resolve(shell.messages.find(({ type }) => type === 'welcome')));
    return shell;
  }
}

export function typeIn(shell: Talk, data: string): void {
  shell.socket.send(JSON.stringify({ type: 'input', data }));
}

export function heardIn({ messages }: Talk): string {
  return messages.map((message) => (message.type === 'output' ? String(message.data) : '')).join('');
}

export function hears(shell: Talk, text: string): Promise<unknown> {
  return eventually(() => Promise.resolve(heardIn(shell).includes(text)));
}

/** What every runtime of containers does for a user. @param running kind of the object that is there only while it runs */
export function describeWholeLife(rig: () => LifeRig, running: RegExp): void {
  it('run, have terminals, stop, start with their files and leave nothing', async () => {
    const life = rig();
    const id = await life.create('whole', { environment_variables: { GREETING: 'salut' } });
    expect(await life.reach(id, 'running')).toMatchObject({ phase: 'ready', progress: 100, status_reason: null });
    const shell = await life.shellOf(id);
    typeIn(shell, 'stty size; echo "=$GREETING"\n');
    await hears(shell, '30 100\r\n');
    await hears(shell, '=salut\r\n');
    shell.socket.send(JSON.stringify({ type: 'resize', cols: 120, rows: 40 }));
    await eventually(() => Promise.resolve(shell.messages.some(({ type: of, cols }) => of === 'size' && cols === 120)));
    typeIn(shell, 'stty size\n');
    await hears(shell, '40 120\r\n');
    typeIn(shell, "printf '%s\\n' 'grüße 日本 🎉' >kept; sed 's/^/=/' kept\n");
    await hears(shell, '=grüße 日本 🎉\r\n');
    // What says so is in the foreground by then: between two commands a Ctrl-C may meet the shell as it forks, which then waits.
    typeIn(shell, `sh -c 'echo beg""un; exec sleep 1000'\n`);
    await hears(shell, 'begun\r\n');
    typeIn(shell, '\u0003');
    typeIn(shell, 'echo code""=$?\n');
    await hears(shell, 'code=130\r\n');
    typeIn(shell, 'exit 7\n');
    expect(await shell.over).toBe(1000);
    expect(shell.messages.at(-1)).toEqual({ type: 'exit', code: 7, signal: null, reason: 'exited' });

    const attached = await life.shellOf(id);
    await life.act(id, 'stop', 'stopped');
    expect(await attached.over).toBe(4410);
    expect(attached.messages).toContainEqual(expect.objectContaining({ type: 'exit', reason: 'environment_stopped' }));
    expect((await life.left()).filter((name) => running.test(name))).toEqual([]);
    await life.act(id, 'start', 'running');
    const again = await life.shellOf(id);
    typeIn(again, "sed 's/^/=/' kept\n");
    await hears(again, '=grüße 日本 🎉\r\n');
    await life.ask('DELETE', `/environments/${id}`);
    expect(await again.over).toBe(4410);
    await eventually(async () => (await life.left()).length === 0, LONGEST_MS);
  });

  it('of a template that asks for it cannot write to their image, only to /workspace and /tmp', async () => {
    const life = rig();
    const text = `
name: sealed
display_name: Sealed
category: system
image: ${life.image}
default_resources: { cpu: 500m, memory: 64Mi, storage: 64Mi }
startup_commands: ['echo of the startup >/tmp/first && cp /tmp/first .']
read_only_root: true
`;
    await life.api.addTemplate(text);
    const id = String((await life.ask('POST', '/environments', { name: 'sealed', template: 'sealed' })).id);
    expect(await life.reach(id, 'running')).toMatchObject({ status_reason: null });
    const shell = await life.shellOf(id);
    const found = 'for at in / /home /usr/bin /workspace /tmp; do touch $at/x 2>&1 && echo "$at""=yes"; done; echo en""d\n';
    typeIn(shell, `awk '$2 == "/" {print "ro""ot=" $4}' /proc/mounts; cat first; ${found}`);
    await hears(shell, 'end\r\n');
    expect(heardIn(shell).match(/^\/\w*=yes/gm)).toEqual(['/workspace=yes', '/tmp=yes']);
    expect(heardIn(shell)).toMatch(/Read-only file system/);
    expect(heardIn(shell)).toMatch(/^root=ro\b/m);
    expect(heardIn(shell)).toMatch(/^of the startup/m);
    await life.remove(id);
  });
}
