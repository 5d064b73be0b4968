import { duplicateKey } from '@devpocket/database';
import { Clock } from '@devpocket/kernel';
import { type Credentials } from '@devpocket/users';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { createHash, randomBytes } from 'node:crypto';
import { GoogleFlowRecord } from './google-flow.schema';

const CODE_MS = 60_000;

export interface ExchangeGrant {
  readonly userId: string;
  readonly sessionEpoch: number;
}

/** What must happen once of a sign-in in a browser, whichever replica it comes to: in the database, and of secrets only hashes. */
@Injectable()
export class GoogleFlows {
  constructor(
    @InjectModel(GoogleFlowRecord.name) private readonly flows: Model<GoogleFlowRecord>,
    private readonly clock: Clock,
  ) {}

  /** @param until when the state expires by itself @returns false when it was used before */
  async useState(state: string, until: Date): Promise<boolean> {
    try {
      await this.flows.create({ _id: new Types.ObjectId(), state_hash: sha256(state, 'hex'), expires_at: until });
      return true;
    } catch (error) {
      if (duplicateKey(error)) return false;
      throw error;
    }
  }

  /** A code of 256 bits for the app, good for a minute and for who has the verifier of the challenge. */
  async issueCode(state: string, codeChallenge: string, { user, sessionEpoch }: Credentials): Promise<string> {
    const code = randomBytes(32).toString('base64url');
    const until = new Date(this.clock.millis() + CODE_MS);
    const grant = { code_challenge: codeChallenge, user_id: new Types.ObjectId(user.id), session_epoch: sessionEpoch };
    await this.flows.updateOne(
      { state_hash: sha256(state, 'hex') },
      { $set: { code_hash: sha256(code, 'hex'), code_expires_at: until, ...grant }, $max: { expires_at: until } },
    );
    return code;
  }

  /** Uses the code up: of any number of callers one gets the grant, and with another verifier nobody. Null: unknown, used or expired. */
  async redeem(code: string, verifier: string): Promise<ExchangeGrant | null> {
    const used = await this.flows
      .findOneAndUpdate({ code_hash: sha256(code, 'hex') }, { $unset: { code_hash: 1 } }, { returnDocument: 'before' })
      .lean();
    const { code_expires_at: until, code_challenge: challenge, user_id: userId, session_epoch: sessionEpoch } = used ?? {};
    if (!until || !userId || sessionEpoch === undefined || until <= this.clock.now()) return null;
    return challenge === sha256(verifier, 'base64url') ? { userId: userId.toHexString(), sessionEpoch } : null;
  }

  async forget(userId: string): Promise<void> {
    await this.flows.deleteMany({ user_id: new Types.ObjectId(userId) });
  }
}

function sha256(text: string, encoding: 'hex' | 'base64url'): string {
  return createHash('sha256').update(text).digest(encoding);
}
