import { type Region } from '@devpocket/kernel';
import { type ResourceLimits, type RuntimeKind } from '@devpocket/runtime';
import { Prop, Schema, SchemaFactory } from '@nestjs/mongoose';
import { type Types } from 'mongoose';
import { type OrphanKind } from './orphan';
import { type Observed, type Resources, type Shown, type Status, type UsageReading, type Wanted } from './environment';
import { type News } from './environment.events';
import { type Alerts } from './resource-alert.policy';

@Schema({ collection: 'environments', versionKey: false, strict: 'throw', minimize: false })
export class EnvironmentRecord {
  _id!: Types.ObjectId;

  @Prop({ type: Object, required: true })
  user_id!: Types.ObjectId;

  @Prop({ type: String, required: true })
  name!: string;

  @Prop({ type: String, default: null })
  description!: string | null;

  @Prop({ type: Object, required: true })
  template!: { name: string; version: number };

  @Prop({ type: String, default: '' })
  image!: string;

  @Prop({ type: Number, default: null })
  default_port!: number | null;

  @Prop({ type: [String], required: true })
  startup_commands!: string[];

  @Prop({ type: Boolean, default: false })
  read_only_root?: boolean;

  @Prop({ type: Object, required: true })
  resources!: Resources;

  @Prop({ type: Object, required: true })
  limits!: ResourceLimits;

  @Prop({ type: Object, required: true })
  template_variables!: Record<string, string>;

  @Prop({ type: Object, required: true })
  environment_variables!: Record<string, string>;

  @Prop({ type: String, default: null })
  region!: Region | null;

  @Prop({ type: String, required: true })
  runtime_kind!: RuntimeKind;

  @Prop({ type: String, default: null })
  cluster_id!: string | null;

  @Prop({ type: Object, required: true })
  wanted!: Wanted;

  @Prop({ type: Object, required: true })
  observed!: Observed;

  /** The result of `show`, and its status once more for filters and indexes. */
  @Prop({ type: Object, required: true })
  shown!: Shown;

  @Prop({ type: String, required: true })
  status!: Status;

  @Prop({ type: Number, required: true })
  status_version!: number;

  /** Grows with every write of what is wanted or seen: what compare-and-set compares. */
  @Prop({ type: Number, required: true })
  revision!: number;

  @Prop({ type: Date, required: true })
  since!: Date;

  @Prop({ type: Date, required: true })
  progress_at!: Date;

  /** A place of the plan's `active`, held while it is active: unique per user. */
  @Prop({ type: Number })
  active_slot?: number;

  /** A place of the plan's `kept`, held until it is deleted: unique per user. */
  @Prop({ type: Number })
  kept_slot?: number;

  /** A place of its cluster's `max_environments`, held until nothing of it is left: unique per cluster. */
  @Prop({ type: Number })
  cluster_slot?: number;

  @Prop({ type: String })
  idempotency_scope?: string;

  @Prop({ type: Date, required: true })
  next_look!: Date;

  @Prop({ type: Date, required: true })
  lease_until!: Date;

  @Prop({ type: String, default: null })
  lease_token!: string | null;

  /** Looks in a row that failed. */
  @Prop({ type: Number, default: 0 })
  failures!: number;

  @Prop({ type: Date, required: true })
  created_at!: Date;

  @Prop({ type: Date, required: true })
  updated_at!: Date;

  @Prop({ type: Date, default: null })
  started_at!: Date | null;

  @Prop({ type: Date, default: null })
  last_accessed!: Date | null;

  @Prop({ type: Date, default: null })
  last_activity_at!: Date | null;

  @Prop({ type: Date, default: null })
  keep_until!: Date | null;

  @Prop({ type: Number, default: null })
  auto_stop_minutes!: number | null;

  @Prop({ type: Number, default: null })
  plan_auto_stop_minutes!: number | null;

  @Prop({ type: Number, default: null })
  plan_longest_run_minutes!: number | null;

  @Prop({ type: Object, required: true })
  usage!: UsageReading;

  @Prop({ type: Date })
  usage_at?: Date;

  @Prop({ type: Object })
  alerts?: Alerts;

  /** Written with what it tells of, so that no crash comes between; emptied when it is in the users' logs. */
  @Prop({ type: [Object], default: [] })
  untold?: News[];

  /** The revision that last added to `untold`. */
  @Prop({ type: Number })
  untold_at?: number;

  /** From then on whoever wrote it is taken for dead, and anybody tells it; absent while there is nothing to tell. */
  @Prop({ type: Date })
  tell_due?: Date;
}

export const EnvironmentSchema = SchemaFactory.createForClass(EnvironmentRecord);
EnvironmentSchema.index(
  { user_id: 1, active_slot: 1 },
  { unique: true, partialFilterExpression: { active_slot: { $exists: true } } },
);
EnvironmentSchema.index(
  { user_id: 1, kept_slot: 1 },
  { unique: true, partialFilterExpression: { kept_slot: { $exists: true } } },
);
EnvironmentSchema.index({ user_id: 1, name: 1 }, { unique: true, partialFilterExpression: { kept_slot: { $exists: true } } });
EnvironmentSchema.index(
  { idempotency_scope: 1 },
  { unique: true, partialFilterExpression: { idempotency_scope: { $exists: true } } },
);
EnvironmentSchema.index(
  { cluster_id: 1, cluster_slot: 1 },
  { unique: true, partialFilterExpression: { cluster_slot: { $exists: true } } },
);
EnvironmentSchema.index({ user_id: 1, created_at: -1, _id: -1 });
EnvironmentSchema.index({ created_at: -1, _id: -1 });
EnvironmentSchema.index({ next_look: 1 });
EnvironmentSchema.index({ status: 1 });
EnvironmentSchema.index({ tell_due: 1 }, { partialFilterExpression: { tell_due: { $exists: true } } });

/** Lifecycle history of one environment; goes with it. */
@Schema({ collection: 'environment_history', versionKey: false, strict: 'throw' })
export class HistoryRecord {
  _id!: Types.ObjectId;

  @Prop({ type: Object, required: true })
  environment_id!: Types.ObjectId;

  @Prop({ type: Date, required: true })
  timestamp!: Date;

  @Prop({ type: String, required: true })
  type!: string;

  @Prop({ type: String, default: null })
  reason!: string | null;

  @Prop({ type: String, default: null })
  message!: string | null;
}

export const HistorySchema = SchemaFactory.createForClass(HistoryRecord);
HistorySchema.index({ environment_id: 1, timestamp: -1, _id: -1 });
HistorySchema.index({ timestamp: 1 }, { expireAfterSeconds: 90 * 86_400 });

/** One sample a minute while it runs; 30 days. */
@Schema({ collection: 'environment_metrics', versionKey: false, strict: 'throw' })
export class MetricRecord {
  _id!: Types.ObjectId;

  @Prop({ type: Object, required: true })
  environment_id!: Types.ObjectId;

  @Prop({ type: Date, required: true })
  timestamp!: Date;

  @Prop({ type: Number, default: null })
  cpu_usage!: number | null;

  @Prop({ type: Number, default: null })
  memory_usage!: number | null;

  @Prop({ type: Number, default: null })
  storage_usage!: number | null;

  @Prop({ type: Number, default: null })
  network_rx!: number | null;

  @Prop({ type: Number, default: null })
  network_tx!: number | null;

  @Prop({ type: Number, default: 0 })
  active_connections!: number;
}

export const MetricSchema = SchemaFactory.createForClass(MetricRecord);
MetricSchema.index({ environment_id: 1, timestamp: 1 });
MetricSchema.index({ timestamp: 1 }, { expireAfterSeconds: 30 * 86_400 });

/** What a runtime holds without a record of it, or a record of which no runtime holds anything. */
@Schema({ collection: 'orphans', versionKey: false, strict: 'throw' })
export class OrphanRecord {
  /** The environment's. */
  _id!: Types.ObjectId;

  @Prop({ type: String, required: true })
  runtime_kind!: RuntimeKind;

  @Prop({ type: String, default: 'object' })
  kind!: OrphanKind;

  @Prop({ type: String, default: '' })
  user_id!: string;

  @Prop({ type: String, default: null })
  cluster_id!: string | null;

  @Prop({ type: Date, required: true })
  since!: Date;
}

export const OrphanSchema = SchemaFactory.createForClass(OrphanRecord);
OrphanSchema.index({ since: -1, _id: -1 });
