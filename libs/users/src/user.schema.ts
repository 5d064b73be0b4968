import { type Plan, type Role } from '@devpocket/access';
import { Prop, Schema, SchemaFactory } from '@nestjs/mongoose';
import { type Types } from 'mongoose';
import { type Region } from './account.policy';

@Schema({ collection: 'users', versionKey: false, strict: 'throw' })
export class UserRecord {
  _id!: Types.ObjectId;

  @Prop({ type: String, required: true })
  username!: string;

  /** `nameKey` of the username: what is unique. */
  @Prop({ type: String, required: true })
  username_key!: string;

  @Prop({ type: String, required: true })
  email!: string;

  @Prop({ type: String, required: true })
  email_key!: string;

  @Prop({ type: String, default: null })
  full_name!: string | null;

  @Prop({ type: Boolean, required: true })
  is_active!: boolean;

  @Prop({ type: Boolean, required: true })
  is_verified!: boolean;

  /** Somebody read a mail sent to the address, or a provider that checks addresses says whose it is: more than `is_verified`, which is given without mail too. */
  @Prop({ type: Boolean, default: false })
  email_proven!: boolean;

  /** An address that becomes the account's once it is proven. */
  @Prop({ type: String, default: null })
  pending_email!: string | null;

  @Prop({ type: String, default: null })
  avatar_url!: string | null;

  @Prop({ type: String, required: true })
  subscription_plan!: Plan;

  /** As granted; plan `admin` implies `admin` whatever stands here. */
  @Prop({ type: String, required: true })
  role!: Role;

  @Prop({ type: String, default: null })
  preferred_region!: Region | null;

  /** bcrypt; null for an account without a password. */
  @Prop({ type: String, default: null })
  password_hash!: string | null;

  @Prop({ type: Number, required: true })
  session_epoch!: number;

  @Prop({ type: Number, default: 0 })
  key_epoch!: number;

  @Prop({ type: Number, default: 0 })
  identity_epoch?: number;

  /** True for the account that holds the only place of a server that takes a single one; else left out. */
  @Prop({ type: Boolean })
  sole?: true;

  /** Since when the account is on its way out; else left out. */
  @Prop({ type: Date })
  deleting_since?: Date;

  @Prop({ type: Date, required: true })
  created_at!: Date;

  @Prop({ type: Date, default: null })
  last_login!: Date | null;
}

export const UserSchema = SchemaFactory.createForClass(UserRecord);
UserSchema.index({ username_key: 1 }, { unique: true });
UserSchema.index({ email_key: 1 }, { unique: true });
UserSchema.index({ sole: 1 }, { unique: true, partialFilterExpression: { sole: true } });
UserSchema.index({ deleting_since: 1 }, { partialFilterExpression: { deleting_since: { $exists: true } } });
UserSchema.index({ created_at: -1, _id: -1 });
