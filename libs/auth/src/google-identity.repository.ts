import { duplicateKey } from '@devpocket/database';
import { Clock } from '@devpocket/kernel';
import { type Credentials, nameKey } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { GoogleIdentityRecord } from './google-identity.schema';

export interface GoogleIdentity {
  readonly id: string;
  readonly subject: string;
  readonly userId: string;
  readonly emailKey: string;
  readonly epoch: number;
}

/** Who at Google signs in to which account. The unique subject decides: of any number that join one, one account gets it. */
@Injectable()
export class GoogleIdentityRepository {
  constructor(
    @InjectModel(GoogleIdentityRecord.name) private readonly identities: Model<GoogleIdentityRecord>,
    private readonly clock: Clock,
  ) {}

  async find(subject: string): Promise<GoogleIdentity | null> {
    const record = await this.identities.findOne({ subject }).lean();
    return (
      record && {
        id: record._id.toHexString(),
        subject,
        userId: record.user_id.toHexString(),
        emailKey: record.email_key,
        epoch: record.epoch,
      }
    );
  }

  /** @param account as it was when its owner was confirmed: one that was reset since is not joined @returns false when it is joined already */
  async add(subject: string, email: string, { user, identityEpoch }: Credentials): Promise<boolean> {
    try {
      await this.identities.create({
        _id: new Types.ObjectId(),
        subject,
        user_id: new Types.ObjectId(user.id),
        email_key: nameKey(email),
        epoch: identityEpoch,
        joined_at: this.clock.now(),
      });
      return true;
    } catch (error) {
      if (duplicateKey(error)) return false;
      throw error;
    }
  }

  /** Notes the address of a living identity, and that it lives. */
  async seen({ id, userId }: GoogleIdentity, email: string, epoch: number): Promise<void> {
    await this.identities.updateOne({ _id: id, user_id: userId }, { $set: { email_key: nameKey(email) }, $max: { epoch } });
  }

  /** Removes one that has parted, unless it lives again by now. */
  async remove({ id, userId, epoch }: GoogleIdentity): Promise<void> {
    await this.identities.deleteOne({ _id: id, user_id: userId, epoch });
  }

  /** After a new identity epoch: those with the account's own, proven address are taken along, the others go. */
  async settle({ user, identityEpoch: epoch, emailProven }: Credentials): Promise<void> {
    const own = { user_id: user.id, email_key: nameKey(user.email) };
    if (emailProven) await this.identities.updateMany(own, { $max: { epoch } });
    await this.identities.deleteMany({ user_id: user.id, epoch: { $lt: epoch } });
  }

  async removeAll(userId: string): Promise<void> {
    await this.identities.deleteMany({ user_id: userId });
  }
}

/** Does it sign in to this account? A write that begins an epoch parts it at once, whatever becomes of the record. */
export function lives({ epoch, emailKey }: GoogleIdentity, account: Credentials): boolean {
  const isOwn = account.emailProven && emailKey === nameKey(account.user.email);
  return epoch === account.identityEpoch || isOwn;
}
