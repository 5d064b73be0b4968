import { Injectable } from '@nestjs/common';
import { type Credentials, type NewUser, type User } from './user';
import { type Taken, UserRepository } from './user.repository';
import { emailTaken, registrationClosed, usernameTaken } from './users.errors';

/** The accounts with what signing in needs. Auth alone may call; everyone else has `UsersService`. */
@Injectable()
export class CredentialsService {
  constructor(private readonly users: UserRepository) {}

  /** @throws DomainError `email_taken | username_taken` when one is in use now; `create` decides */
  async assertFree(username: string, email: string): Promise<void> {
    const taken = await this.users.taken(username, email);
    if (taken) throw refusal(taken);
  }

  /** @throws DomainError `email_taken | username_taken | registration_closed` */
  async create(user: NewUser): Promise<User> {
    const created = await this.users.insert(user);
    if (typeof created === 'string') throw refusal(created);
    return created;
  }

  find(id: string): Promise<Credentials | null> {
    return this.users.find(id);
  }

  findByName(name: string): Promise<Credentials | null> {
    return this.users.findByName(name);
  }

  /**
   * Replaces the password that was verified and ends every session in the same write.
   * @returns the new session epoch; null when the password has changed meanwhile
   */
  replacePassword(id: string, verifiedHash: string, hash: string): Promise<number | null> {
    return this.users.replacePassword(id, verifiedHash, hash);
  }

  rehash(id: string, verifiedHash: string, hash: string): Promise<void> {
    return this.users.rehash(id, verifiedHash, hash);
  }

  /**
   * @param email that has been proven to be the receiver's
   * @returns null when it is not the account's any more, or the account is deactivated
   */
  resetPassword(id: string, email: string, hash: string): Promise<Credentials | null> {
    return this.users.resetPassword(id, email, hash);
  }

  /** Ends every session and key, and parts identities, in the same write. @returns null when there is no such account */
  setPassword(id: string, hash: string): Promise<User | null> {
    return this.users.setPassword(id, hash);
  }

  /** @param verifiedHash null: an account without a password @returns false when what was verified is not the password any more */
  beginRemoval(id: string, verifiedHash: string | null): Promise<boolean> {
    return this.users.beginRemoval(id, verifiedHash);
  }

  onTheirWayOut(): Promise<readonly { readonly id: string; readonly since: Date }[]> {
    return this.users.onTheirWayOut();
  }

  /** @returns whether it was this call that removed it */
  remove(id: string): Promise<boolean> {
    return this.users.remove(id);
  }

  /** Takes back an account that was made a moment ago and that nobody can have used. */
  withdraw(id: string): Promise<void> {
    return this.users.withdraw(id);
  }

  /** The address becomes the account's once it is proven. */
  setPendingEmail(id: string, email: string): Promise<void> {
    return this.users.setPendingEmail(id, email);
  }

  /** @returns null when it is no address of the account @throws DomainError `email_taken` when another account has it by now */
  async proveEmail(id: string, email: string): Promise<User | null> {
    const proven = await this.users.proveEmail(id, email);
    if (typeof proven === 'string') throw refusal(proven);
    return proven;
  }

  /** @returns whether the address is the account's own and was not proven before */
  proveOwnEmail(id: string, email: string): Promise<boolean> {
    return this.users.proveOwnEmail(id, email);
  }

  recordLogin(id: string, at: Date): Promise<void> {
    return this.users.recordLogin(id, at);
  }
}

function refusal(taken: Taken): Error {
  switch (taken) {
    case 'email_taken':
      return emailTaken();
    case 'username_taken':
      return usernameTaken();
    case 'sole_taken':
      return registrationClosed();
  }
}
