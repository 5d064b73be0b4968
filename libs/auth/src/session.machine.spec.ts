import { decideRefresh, type RefreshStep, type Session } from './session.machine';

const NOW = new Date('2026-01-01T00:00:00.000Z');
const ago = (ms: number): Date => new Date(NOW.getTime() - ms);

const session: Session = {
  id: 'a'.repeat(24),
  userId: 'b'.repeat(24),
  method: 'password',
  epoch: 0,
  currentHash: 'current',
  priorHash: 'prior',
  rotatedAt: ago(1000),
  userAgent: null,
  ip: null,
  createdAt: ago(5000),
  lastUsedAt: ago(1000),
  expiresAt: new Date(NOW.getTime() + 1),
};

describe('decideRefresh', () => {
  it.each<[string, Session, string, number, RefreshStep]>([
    ['the current token', session, 'current', 60_000, 'rotate'],
    ['the one before, in time', session, 'prior', 60_000, 'replay'],
    ['the one before, at the last moment', session, 'prior', 1001, 'replay'],
    ['the one before, too late', session, 'prior', 1000, 'reused'],
    ['the one before, without grace', { ...session, rotatedAt: NOW }, 'prior', 0, 'reused'],
    ['an older one', session, 'older', 60_000, 'reused'],
    ['any other of a new session', { ...session, priorHash: null, rotatedAt: null }, 'older', 60_000, 'reused'],
  ])('%s', (_, seen, presented, graceMs, step) => expect(decideRefresh(seen, presented, NOW, graceMs)).toBe(step));
});
