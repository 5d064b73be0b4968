import { Prop, Schema, SchemaFactory } from '@nestjs/mongoose';
import { type Types } from 'mongoose';

/** 180 days (contract §2). */
export const AUDIT_SECONDS = 180 * 24 * 3600;

@Schema({ collection: 'audit_entries', versionKey: false, strict: 'throw' })
export class AuditRecord {
  _id!: Types.ObjectId;

  @Prop({ type: Date, required: true })
  at!: Date;

  @Prop({ type: String, default: null })
  actor!: string | null;

  /** `accountOf` the entry. */
  @Prop({ type: String, default: null })
  account!: string | null;

  @Prop({ type: String, required: true })
  action!: string;

  @Prop({ type: String, default: null })
  target!: string | null;

  @Prop({ type: String, required: true })
  result!: 'success' | 'failure';

  @Prop({ type: String, default: null })
  ip!: string | null;

  @Prop({ type: String, default: null })
  request_id!: string | null;

  @Prop({ type: Object, default: null })
  details!: Record<string, string | number | boolean | null> | null;
}

export const AuditSchema = SchemaFactory.createForClass(AuditRecord);
AuditSchema.index({ at: 1 }, { expireAfterSeconds: AUDIT_SECONDS });
AuditSchema.index({ at: -1, _id: -1 });
for (const field of ['account', 'actor', 'action', 'target']) AuditSchema.index({ [field]: 1, at: -1, _id: -1 });
