import fc from 'fast-check';
import { DomainError } from './domain-error';
import { newId } from './id';
import { decodeCursor, encodeCursor, toPage } from './page';

describe('cursors', () => {
  it('come back as they went', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e12 }), (time) => {
        const cursor = { time, id: newId() };
        expect(decodeCursor(encodeCursor(cursor))).toEqual(cursor);
      }),
    );
  });

  it('that nobody made are refused', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => decodeCursor(text)).toThrow(DomainError);
      }),
    );
  });
});

it('a page has a next one only when a row was left over', () => {
  const rows = [3, 2, 1].map((time) => ({ time, id: newId() }));
  expect(toPage(rows, 2, 3, (row) => row)).toEqual({ items: rows.slice(0, 2), total: 3, next: rows[1] });
  expect(toPage(rows, 3, 3, (row) => row).next).toBeNull();
  expect(toPage([], 3, 0, (row: { time: number; id: string }) => row).next).toBeNull();
});
