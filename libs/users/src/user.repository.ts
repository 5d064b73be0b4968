import { type Role } from '@devpocket/access';
import { duplicateKey, olderThan } from '@devpocket/database';
import { Clock, isId, type Page, type PageRequest, toPage } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { nameKey } from './account.policy';
import { roleOf } from './plan.policy';
import { type AccountChange, type Credentials, type NewUser, type ProfileChange, type User } from './user';
import { UserRecord } from './user.schema';

export type Taken = 'email_taken' | 'username_taken' | 'sole_taken';

@Injectable()
export class UserRepository {
  constructor(
    @InjectModel(UserRecord.name) private readonly users: Model<UserRecord>,
    private readonly clock: Clock,
  ) {}

  /** Which of the two is in use already, if any. */
  async taken(username: string, email: string): Promise<Taken | null> {
    const keys = { username_key: nameKey(username), email_key: nameKey(email) };
    const found = await this.users
      .find({ $or: [{ email_key: keys.email_key }, { username_key: keys.username_key }] }, { email_key: 1 })
      .limit(2)
      .lean();
    if (found.length === 0) return null;
    return found.some((user) => user.email_key === keys.email_key) ? 'email_taken' : 'username_taken';
  }

  /** The indexes decide: of any number of callers with one name exactly one gets a user. */
  async insert(user: NewUser): Promise<User | Taken> {
    try {
      const record = await this.users.create({
        _id: new Types.ObjectId(),
        username: user.username,
        username_key: nameKey(user.username),
        email: user.email,
        email_key: nameKey(user.email),
        full_name: user.fullName,
        is_active: true,
        is_verified: user.isVerified,
        email_proven: user.emailProven ?? false,
        pending_email: null,
        avatar_url: user.avatarUrl ?? null,
        subscription_plan: 'free',
        role: 'user',
        preferred_region: user.preferredRegion,
        password_hash: user.passwordHash,
        session_epoch: 0,
        key_epoch: 0,
        identity_epoch: 0,
        ...(user.sole ? { sole: true } : {}),
        created_at: this.clock.now(),
        last_login: null,
      });
      return toUser(record);
    } catch (error) {
      const taken = takenBy(error);
      if (!taken) throw error;
      return taken;
    }
  }

  async find(id: string): Promise<Credentials | null> {
    if (!isId(id)) return null;
    return toCredentials(await this.users.findById(id).lean());
  }

  /** @param name a username or an email address, in any case */
  async findByName(name: string): Promise<Credentials | null> {
    const key = nameKey(name);
    return toCredentials(await this.users.findOne(key.includes('@') ? { email_key: key } : { username_key: key }).lean());
  }

  async list({ limit, after }: PageRequest): Promise<Page<User>> {
    const older = olderThan('created_at', after);
    const [records, total] = await Promise.all([
      this.users
        .find(older)
        .sort({ created_at: -1, _id: -1 })
        .limit(limit + 1)
        .lean(),
      this.users.countDocuments({}),
    ]);
    return toPage(records.map(toUser), limit, total, (user) => ({ time: user.createdAt.getTime(), id: user.id }));
  }

  count(): Promise<number> {
    return this.users.countDocuments({});
  }

  async changeProfile(id: string, change: ProfileChange): Promise<User | Taken | null> {
    const set = {
      ...(change.fullName === undefined ? {} : { full_name: change.fullName }),
      ...(change.preferredRegion === undefined ? {} : { preferred_region: change.preferredRegion }),
      ...(change.email === undefined
        ? {}
        : { email: change.email, email_key: nameKey(change.email), email_proven: false, pending_email: null }),
    };
    try {
      return await this.change(id, set);
    } catch (error) {
      const taken = takenBy(error);
      if (!taken) throw error;
      return taken;
    }
  }

  /** Deactivating begins new epochs of sessions and keys in the same write. */
  changeAccount(id: string, change: AccountChange & { readonly role?: Role }): Promise<User | null> {
    const set = {
      ...(change.plan === undefined ? {} : { subscription_plan: change.plan }),
      ...(change.role === undefined ? {} : { role: change.role }),
      ...(change.isActive === undefined ? {} : { is_active: change.isActive }),
      ...(change.isVerified === undefined ? {} : { is_verified: change.isVerified }),
    };
    return this.change(id, set, change.isActive === false ? { session_epoch: 1, key_epoch: 1 } : {});
  }

  /**
   * Replaces the password that was verified, if it still is the one, and begins a new session epoch.
   * @returns the new epoch; null when the password has changed meanwhile
   */
  async replacePassword(id: string, verifiedHash: string, hash: string): Promise<number | null> {
    const record = await this.users
      .findOneAndUpdate(
        { _id: id, password_hash: verifiedHash },
        { $set: { password_hash: hash }, $inc: { session_epoch: 1 } },
        { returnDocument: 'after' },
      )
      .lean();
    return record?.session_epoch ?? null;
  }

  /**
   * A password for who has proven the address by mail. New epochs of sessions, keys and identities begin in the same write, and a change of
   * address that waits is off. Null when the address is not the account's any more.
   */
  async resetPassword(id: string, email: string, hash: string): Promise<Credentials | null> {
    const proven = { password_hash: hash, is_verified: true, email_proven: true, pending_email: null };
    const record = await this.users
      .findOneAndUpdate(
        { _id: id, email_key: nameKey(email), is_active: true },
        { $set: proven, $inc: { session_epoch: 1, key_epoch: 1, identity_epoch: 1 } },
        { returnDocument: 'after' },
      )
      .lean();
    return toCredentials(record);
  }

  /**
   * The account is shut out from now on, and on its way out, if this still is its password.
   * @param verifiedHash null: it has none
   * @returns false when it has changed meanwhile
   */
  async beginRemoval(id: string, verifiedHash: string | null): Promise<boolean> {
    const out = { is_active: false, deleting_since: this.clock.now() };
    const { matchedCount } = await this.users.updateOne(
      { _id: id, password_hash: verifiedHash, deleting_since: { $exists: false } },
      { $set: out, $inc: { session_epoch: 1, key_epoch: 1 } },
    );
    return matchedCount === 1;
  }

  /** Accounts on their way out, since when. */
  async onTheirWayOut(): Promise<readonly { readonly id: string; readonly since: Date }[]> {
    const records = await this.users.find({ deleting_since: { $exists: true } }, { deleting_since: 1 }).lean();
    return records.map(({ _id, deleting_since: since = new Date(0) }) => ({ id: _id.toHexString(), since }));
  }

  /** The last of it, which gives names and address free. @returns whether it was this call that did */
  async remove(id: string): Promise<boolean> {
    const { deletedCount } = await this.users.deleteOne({ _id: id, deleting_since: { $exists: true } });
    return deletedCount === 1;
  }

  /** Takes back an account that was made a moment ago and that nobody can have used. */
  async withdraw(id: string): Promise<void> {
    await this.users.deleteOne({ _id: id, password_hash: null, last_login: null });
  }

  /** A password of an administrator's choice. New epochs of sessions, keys and identities begin in the same write. */
  async setPassword(id: string, hash: string): Promise<User | null> {
    const epochs = { session_epoch: 1, key_epoch: 1, identity_epoch: 1 };
    return this.change(id, { password_hash: hash, pending_email: null }, epochs);
  }

  async setPendingEmail(id: string, email: string): Promise<void> {
    await this.users.updateOne({ _id: id }, { $set: { pending_email: email } });
  }

  /** The account's own address was proven, or the one that waited, which thereby becomes its own. Null: it is neither. */
  async proveEmail(id: string, email: string): Promise<User | Taken | null> {
    const proven = { is_verified: true, email_proven: true };
    try {
      // First, since one that waits may be the account's own in another case.
      const changed = await this.users
        .findOneAndUpdate(
          { _id: id, pending_email: email },
          { $set: { ...proven, email, email_key: nameKey(email), pending_email: null } },
          { returnDocument: 'after' },
        )
        .lean();
      if (changed) return toUser(changed);
      const own = await this.users
        .findOneAndUpdate({ _id: id, email_key: nameKey(email) }, { $set: proven }, { returnDocument: 'after' })
        .lean();
      return own && toUser(own);
    } catch (error) {
      const taken = takenBy(error);
      if (!taken) throw error;
      return taken;
    }
  }

  /** Somebody has shown that the account's own address is theirs. False: it is not, or that was known. */
  async proveOwnEmail(id: string, email: string): Promise<boolean> {
    const { matchedCount } = await this.users.updateOne(
      { _id: id, email_key: nameKey(email), email_proven: false },
      { $set: { is_verified: true, email_proven: true } },
    );
    return matchedCount === 1;
  }

  /** Keeps the password and stores it under another cost. */
  async rehash(id: string, verifiedHash: string, hash: string): Promise<void> {
    await this.users.updateOne({ _id: id, password_hash: verifiedHash }, { $set: { password_hash: hash } });
  }

  async recordLogin(id: string, at: Date): Promise<void> {
    await this.users.updateOne({ _id: id }, { $max: { last_login: at } });
  }

  private async change(id: string, set: Partial<UserRecord>, inc: Partial<UserRecord> = {}): Promise<User | null> {
    if (!isId(id)) return null;
    const update = {
      ...(Object.keys(set).length > 0 ? { $set: set } : {}),
      ...(Object.keys(inc).length > 0 ? { $inc: inc } : {}),
    };
    if (Object.keys(update).length === 0) return (await this.find(id))?.user ?? null;
    // What is on its way out is changed by nobody.
    const record = await this.users
      .findOneAndUpdate({ _id: id, deleting_since: { $exists: false } }, update, { returnDocument: 'after' })
      .lean();
    return record && toUser(record);
  }
}

function takenBy(error: unknown): Taken | null {
  const keys = duplicateKey(error);
  if (keys?.includes('email_key')) return 'email_taken';
  if (keys?.includes('username_key')) return 'username_taken';
  if (keys?.includes('sole')) return 'sole_taken';
  return null;
}

function toCredentials(record: UserRecord | null): Credentials | null {
  if (!record) return null;
  return {
    user: toUser(record),
    passwordHash: record.password_hash,
    sessionEpoch: record.session_epoch,
    keyEpoch: record.key_epoch,
    // Left out in accounts that are older than it.
    identityEpoch: record.identity_epoch ?? 0,
    emailProven: record.email_proven,
    pendingEmail: record.pending_email,
  };
}

function toUser(record: UserRecord): User {
  return {
    id: record._id.toHexString(),
    username: record.username,
    email: record.email,
    fullName: record.full_name,
    isActive: record.is_active,
    isVerified: record.is_verified,
    avatarUrl: record.avatar_url,
    plan: record.subscription_plan,
    role: roleOf(record.subscription_plan, record.role),
    preferredRegion: record.preferred_region,
    createdAt: record.created_at,
    lastLogin: record.last_login,
  };
}
