import { Engine } from './engine';
import { type EngineSettings } from './engine-address';

/** Does an engine answer there? */
export async function answers(settings: EngineSettings, timeoutMs = 2_000): Promise<boolean> {
  try {
    const engine = await Engine.open(settings);
    await engine.get('/_ping', { timeoutMs });
    return true;
  } catch {
    return false;
  }
}
