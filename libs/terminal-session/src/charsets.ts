import { Terminal } from '@xterm/headless';
import { type Charset, stateOf } from './emulator-state';

/** Final bytes that designate a charset (XTerm Control Sequences, "Designate G0 Character Set"). */
const NAMES = [...'0AKRQYEHZC574=6'];
const ASCII = 'B';

let names: ReadonlyMap<Charset | undefined, string> | null = null;

/** The final byte that designates this charset. The emulator keeps only what it maps; which one that is it is asked once. */
export function charsetName(charset: Charset | undefined): string {
  return (names ??= nameAll()).get(charset) ?? ASCII;
}

function nameAll(): ReadonlyMap<Charset | undefined, string> {
  const scratch = new Terminal({ cols: 2, rows: 1, allowProposedApi: true });
  const { _inputHandler: handler, _charsetService: service } = stateOf(scratch);
  const found = new Map<Charset | undefined, string>();
  for (const name of NAMES) {
    handler.parse(`\x1b(${name}`);
    if (service.charset && !found.has(service.charset)) found.set(service.charset, name);
  }
  scratch.dispose();
  return found;
}
