import { type Clock } from '@devpocket/kernel';
import { type ScreenKeeper } from '../src/screen.messages';
import { ScreenShelf } from '../src/screen-shelf';

/** The shelf itself, without a thread around it. */
export class InlineScreens implements ScreenKeeper {
  generation = 0;
  busy = false;
  followed = 0;
  private shelf: ScreenShelf;
  private turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly clock: Clock & { push(ms: number): void }) {
    this.shelf = new ScreenShelf(() => clock.millis());
  }

  follow: ScreenKeeper['follow'] = (key, size, steps) => {
    this.followed += steps.reduce((sum, step) => sum + (step.kind === 'output' ? step.bytes.length : 0), 0);
    this.turn = this.turn.then(() => this.shelf.follow(key, size, steps));
  };

  paint: ScreenKeeper['paint'] = async (key, format) => {
    await this.turn;
    return this.shelf.paint(key, format);
  };

  forget: ScreenKeeper['forget'] = (key) => this.shelf.forget(key);

  tidy(): void {
    this.clock.push(60_000);
    this.shelf.tidy();
  }

  get counts(): ScreenShelf['counts'] {
    return this.shelf.counts;
  }

  /** What a thread that has ended kept is gone. */
  die(): void {
    this.generation += 1;
    this.shelf = new ScreenShelf(() => this.clock.millis());
  }
}
