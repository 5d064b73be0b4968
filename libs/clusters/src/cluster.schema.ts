import { type Region } from '@devpocket/kernel';
import { type ClusterToleration } from '@devpocket/runtime';
import { Prop, Schema, SchemaFactory } from '@nestjs/mongoose';
import { type Types } from 'mongoose';
import { type Capacity, type ClusterStatus } from './cluster';

/** `Sealed` as it is stored. */
export interface SealedRecord {
  key_id: string;
  nonce: string;
  tag: string;
  data: string;
}

export interface OptionsRecord {
  cpu_request_percent: number;
  memory_request_percent: number;
  storage_class: string | null;
  runtime_class_name: string | null;
  /** Pairs, because names of labels have dots. */
  node_selector: { key: string; value: string }[];
  tolerations: ClusterToleration[];
  image_pull_secrets: string[];
}

@Schema({ collection: 'clusters', versionKey: false, strict: 'throw', minimize: false })
export class ClusterRecord {
  _id!: Types.ObjectId;

  @Prop({ type: String, required: true })
  name!: string;

  /** The form in which names are unique. */
  @Prop({ type: String, required: true })
  name_key!: string;

  @Prop({ type: String, required: true })
  region!: Region;

  @Prop({ type: String, default: null })
  description!: string | null;

  /** As the kubeconfig says. */
  @Prop({ type: String, required: true })
  server!: string;

  @Prop({ type: String, default: null })
  own_endpoint!: string | null;

  /** Null: the server is a pod of this cluster. */
  @Prop({ type: Object, default: null })
  kube_config!: SealedRecord | null;

  /** Set on the cluster that the server is a pod of: unique. */
  @Prop({ type: Boolean })
  in_cluster?: true;

  @Prop({ type: String, required: true })
  status!: ClusterStatus;

  @Prop({ type: Number, required: true })
  max_environments!: number;

  @Prop({ type: Object, required: true })
  options!: OptionsRecord;

  @Prop({ type: Object, default: null })
  capacity!: Capacity | null;

  @Prop({ type: Boolean, default: null })
  reachable!: boolean | null;

  @Prop({ type: Number, required: true })
  revision!: number;

  @Prop({ type: Number, required: true })
  connection_revision!: number;

  @Prop({ type: String })
  idempotency_scope?: string;

  @Prop({ type: Date, required: true })
  created_at!: Date;

  @Prop({ type: Date, required: true })
  updated_at!: Date;
}

export const ClusterSchema = SchemaFactory.createForClass(ClusterRecord);
ClusterSchema.index({ name_key: 1 }, { unique: true });
ClusterSchema.index({ in_cluster: 1 }, { unique: true, partialFilterExpression: { in_cluster: true } });
ClusterSchema.index(
  { idempotency_scope: 1 },
  { unique: true, partialFilterExpression: { idempotency_scope: { $exists: true } } },
);
ClusterSchema.index({ created_at: -1, _id: -1 });

/**
 * One document a region names its default. So there never are two, and switching is one write: no crash leaves none. One that names
 * a cluster which is gone, or is in another region now, names nothing.
 */
@Schema({ collection: 'cluster_defaults', versionKey: false, strict: 'throw' })
export class ClusterDefaultRecord {
  @Prop({ type: String, required: true })
  _id!: Region;

  @Prop({ type: String, required: true })
  cluster_id!: string;
}

export const ClusterDefaultSchema = SchemaFactory.createForClass(ClusterDefaultRecord);
