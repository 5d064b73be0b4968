import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { type MailFacts, type QueuedMail } from './mail';
import { MailRecord } from './mail.schema';

@Injectable()
export class MailRepository {
  constructor(@InjectModel(MailRecord.name) private readonly mails: Model<MailRecord>) {}

  async insert(kind: string, facts: MailFacts, now: Date): Promise<void> {
    await this.mails.create({ _id: new Types.ObjectId(), kind, facts: { ...facts }, queued_at: now, tries: 0, next_try: now });
  }

  /** Takes the mail that is due longest, if any; nobody else does until `until`. */
  async claim(now: Date, until: Date): Promise<QueuedMail | null> {
    for (;;) {
      const [due] = await this.mails
        .find({ next_try: { $lte: now } })
        .sort({ next_try: 1 })
        .limit(1)
        .lean();
      if (!due) return null;
      const claimed = await this.mails.updateOne({ _id: due._id, next_try: due.next_try }, { $set: { next_try: until } });
      // Another replica may have been faster; then there may be another one due.
      if (claimed.matchedCount === 1) {
        const { _id, kind, facts, queued_at: queuedAt, tries } = due;
        return { id: _id.toHexString(), kind, facts, queuedAt, tries };
      }
    }
  }

  async remove(id: string): Promise<void> {
    await this.mails.deleteOne({ _id: id });
  }

  async postpone(id: string, tries: number, nextTry: Date): Promise<void> {
    await this.mails.updateOne({ _id: id }, { $set: { tries, next_try: nextTry } });
  }

  count(): Promise<number> {
    return this.mails.countDocuments({});
  }
}
