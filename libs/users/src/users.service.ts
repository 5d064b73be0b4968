import { type Page, type PageRequest } from '@devpocket/kernel';
import { Injectable } from '@nestjs/common';
import { type AccountChange, type ProfileChange, type User } from './user';
import { UserRepository } from './user.repository';
import { accountGone, emailTaken, userNotFound } from './users.errors';

/** The accounts of this installation. */
@Injectable()
export class UsersService {
  constructor(private readonly users: UserRepository) {}

  /** @throws DomainError `not_found` */
  async get(id: string): Promise<User> {
    return (await this.find(id)) ?? this.absent();
  }

  /** The caller's own. @throws DomainError `session_revoked` when it was removed meanwhile */
  async getOwn(id: string): Promise<User> {
    const user = await this.find(id);
    if (!user) throw accountGone();
    return user;
  }

  async find(id: string): Promise<User | null> {
    return (await this.users.find(id))?.user ?? null;
  }

  /** @param name a username or an email address, in any case */
  async findByName(name: string): Promise<User | null> {
    return (await this.users.findByName(name))?.user ?? null;
  }

  list(page: PageRequest): Promise<Page<User>> {
    return this.users.list(page);
  }

  count(): Promise<number> {
    return this.users.count();
  }

  /** Is there at most one account? */
  async isSoleUser(): Promise<boolean> {
    return (await this.users.count()) <= 1;
  }

  /** The caller's own. @throws DomainError `session_revoked`, `email_taken` */
  async changeProfile(id: string, change: ProfileChange): Promise<User> {
    const changed = await this.users.changeProfile(id, change);
    if (changed === null) throw accountGone();
    if (typeof changed === 'string') throw emailTaken();
    return changed;
  }

  /**
   * Changes what is an administrator's to change. Deactivating ends every session of the account in the same write; sockets
   * are told of it by whoever calls (auth).
   * @throws DomainError `not_found`
   */
  async changeAccount(id: string, change: AccountChange): Promise<User> {
    return (await this.users.changeAccount(id, change)) ?? this.absent();
  }

  /** Makes an administrator, whatever the plan. @throws DomainError `not_found` */
  async promote(id: string): Promise<User> {
    return (await this.users.changeAccount(id, { role: 'admin' })) ?? this.absent();
  }

  private absent(): never {
    throw userNotFound();
  }
}
