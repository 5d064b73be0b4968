import fc from 'fast-check';
import { DomainError } from './domain-error';
import { newId } from './id';
import { decodeCursor, encodeCursor, pageOf, toPage } from './page';

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

it('pages of rows at hand give each once, newest first, whatever the limit', () => {
  const row = fc.record({ time: fc.nat(5), id: fc.constant(null).map(() => newId()) });
  fc.assert(
    fc.property(fc.array(row, { maxLength: 20 }), fc.integer({ min: 1, max: 5 }), (rows, limit) => {
      const seen: (typeof rows)[number][] = [];
      for (let page = pageOf(rows, { limit, after: null }, (one) => one); ;) {
        seen.push(...page.items);
        expect([page.total, page.items.length <= limit]).toEqual([rows.length, true]);
        if (!page.next) break;
        page = pageOf(rows, { limit, after: page.next }, (one) => one);
      }
      expect(seen).toEqual([...rows].sort((a, b) => b.time - a.time || (a.id < b.id ? 1 : -1)));
    }),
  );
});

it('a page has a next one only when a row was left over', () => {
  const rows = [3, 2, 1].map((time) => ({ time, id: newId() }));
  expect(toPage(rows, 2, 3, (row) => row)).toEqual({ items: rows.slice(0, 2), total: 3, next: rows[1] });
  expect(toPage(rows, 3, 3, (row) => row).next).toBeNull();
  expect(toPage([], 3, 0, (row: { time: number; id: string }) => row).next).toBeNull();
});
