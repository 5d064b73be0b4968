import {
  decodeLog,
  encodeLog,
  lastOf,
  type LogLine,
  merge,
  STARTUP_FILE,
  STATE_PATH,
  WORKSPACE_PATH,
} from '@devpocket/container-runtime';
import { type Place } from '@devpocket/runtime';
import { USER_ID } from './container-options';
import { type Engine } from './engine';
import { isAbsent } from './engine-error';
import { type ContainerSummary } from './engine-objects';
import { startupOf } from './sight';
import { files, pack, type TarEntry } from './tar';

/** What is in the volume is its user's, and may be anything. */
const MOST_BYTES = 8_388_608;
const LOG_FOLDER = `${STATE_PATH}/log`;
const PREPARED = 'prepared';
/** Of what went wrong with the startup commands: the script writes less. */
const MOST_WORDS = 1_024;

interface Scope {
  readonly engine: Engine;
  readonly clock: { now(): Date };
  identity(): Promise<{ readonly isPodman: boolean }>;
  containersOf(place: Place): Promise<readonly ContainerSummary[]>;
}

/** What is kept in an environment's own volumes, reached through its startup container whether or not that runs. */
export class VolumeState {
  constructor(private readonly scope: Scope) {}

  /** Gives new volumes to their user. Cut off, it is done again; done, it changes nothing that the user has changed. @throws EngineError */
  async prepare(container: string): Promise<void> {
    if ((await this.read(container, `${STATE_PATH}/${PREPARED}`)) !== null) return;
    const own = { uid: USER_ID, mode: 0o755 };
    const hidden = { ...own, mode: 0o700 };
    // The last says that the others are done: an archive is unpacked in order.
    const inState = (folder: string) => [
      { ...hidden, name: `${folder}/` },
      { ...hidden, name: `${folder}/log/` },
      { ...own, mode: 0o600, name: `${folder}/${PREPARED}`, data: Buffer.alloc(0) },
    ];
    if ((await this.scope.identity()).isPodman) {
      // It unpacks beneath the volumes what is not unpacked into one of them.
      await this.unpack(container, WORKSPACE_PATH, [{ ...own, name: './' }]);
      await this.unpack(container, STATE_PATH, inState('.'));
    } else {
      // It leaves the folder itself that it unpacks into as it is.
      await this.unpack(container, '/', [{ ...own, name: `${WORKSPACE_PATH.slice(1)}/` }, ...inState(STATE_PATH.slice(1))]);
    }
  }

  /** Did the startup commands begin, and what went wrong with them? Null: they did not begin. @throws EngineError */
  async startup(container: string): Promise<{ readonly failed: string | null } | null> {
    const found = await this.read(container, STARTUP_FILE);
    if (!found) return null;
    return { failed: found[0]?.toString('utf8', 0, MOST_WORDS).trim() || null };
  }

  /** What was kept of the log of incarnations that are gone; nothing where the container is not there. @throws EngineError */
  async readLog(place: Place): Promise<readonly LogLine[]> {
    const startup = startupOf(await this.scope.containersOf(place));
    return startup ? this.logIn(startup.Id) : [];
  }

  /** Adds lines and drops what is more than is kept. @throws EngineError */
  async keepLog(container: string, lines: readonly LogLine[]): Promise<void> {
    if (lines.length === 0) return;
    const parts = encodeLog(lastOf(merge([...(await this.logIn(container)), ...lines])), 2);
    const entries = parts.map((data, at) => ({ name: String(at), mode: 0o600, uid: USER_ID, data }));
    await this.unpack(container, LOG_FOLDER, entries);
  }

  private unpack(container: string, path: string, entries: readonly TarEntry[]): Promise<void> {
    return this.scope.engine.unpack(container, path, pack(entries, this.scope.clock.now()));
  }

  private async logIn(container: string): Promise<readonly LogLine[]> {
    const parts = (await this.read(container, LOG_FOLDER)) ?? [];
    try {
      return decodeLog(parts.filter((part) => part.length > 0));
    } catch {
      return []; // not what was written there
    }
  }

  /** The files at a path; null where nothing is. @throws EngineError */
  private async read(container: string, path: string): Promise<readonly Buffer[] | null> {
    try {
      const answer = await this.scope.engine.stream('GET', `/containers/${container}/archive`, { query: { path } });
      const chunks: Buffer[] = [];
      let length = 0;
      for await (const chunk of answer as AsyncIterable<Buffer>) {
        chunks.push(chunk);
        if ((length += chunk.length) > MOST_BYTES) break;
      }
      answer.destroy();
      return files(Buffer.concat(chunks));
    } catch (error) {
      if (isAbsent(error)) return null;
      throw error;
    }
  }
}
