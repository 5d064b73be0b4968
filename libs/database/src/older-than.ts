import { type PageCursor } from '@devpocket/kernel';
import { Types } from 'mongoose';

/** What comes after the last row of a page in a list that is sorted newest first by `field`, then by `_id`; of no row, everything. */
export function olderThan(field: string, after: PageCursor | null): Readonly<Record<string, unknown>> {
  if (!after) return {};
  const time = new Date(after.time);
  return { $or: [{ [field]: { $lt: time } }, { [field]: time, _id: { $lt: new Types.ObjectId(after.id) } }] };
}
