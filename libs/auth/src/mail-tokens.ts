import { Clock } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { createHash, randomBytes } from 'node:crypto';
import { type MailTokenPurpose, MailTokenRecord } from './mail-token.schema';

const HOUR_MS = 3_600_000;
export const LIFETIME_MS: Readonly<Record<MailTokenPurpose, number>> = { verify: 24 * HOUR_MS, reset: HOUR_MS };

export interface MailTokenGrant {
  readonly userId: string;
  readonly email: string;
}

/** Tokens that go out by mail: 256 bits of chance, kept as a hash, used once, and short of life. */
@Injectable()
export class MailTokens {
  constructor(
    @InjectModel(MailTokenRecord.name) private readonly tokens: Model<MailTokenRecord>,
    private readonly clock: Clock,
  ) {}

  async issue(purpose: MailTokenPurpose, { userId, email }: MailTokenGrant): Promise<string> {
    const token = randomBytes(32).toString('base64url');
    await this.tokens.create({
      _id: new Types.ObjectId(),
      hash: hashOf(token),
      purpose,
      user_id: new Types.ObjectId(userId),
      email,
      expires_at: new Date(this.clock.millis() + LIFETIME_MS[purpose]),
    });
    return token;
  }

  /** Would it be redeemed now? */
  async holds(purpose: MailTokenPurpose, token: string): Promise<boolean> {
    const found = await this.tokens.findOne({ hash: hashOf(token), purpose }, { expires_at: 1 }).lean();
    return found !== null && found.expires_at > this.clock.now();
  }

  /** Uses it up: of any number of callers one gets the grant. Null: unknown, used or expired. */
  async redeem(purpose: MailTokenPurpose, token: string): Promise<MailTokenGrant | null> {
    const used = await this.tokens.findOneAndDelete({ hash: hashOf(token), purpose }).lean();
    if (!used || used.expires_at <= this.clock.now()) return null;
    return { userId: used.user_id.toHexString(), email: used.email };
  }

  /** All that are out for this purpose. */
  async revoke(userId: string, purpose: MailTokenPurpose): Promise<void> {
    await this.tokens.deleteMany({ user_id: userId, purpose });
  }
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
