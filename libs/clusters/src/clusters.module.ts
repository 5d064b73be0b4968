import { AuditModule } from '@devpocket/audit';
import { ClusterDirectory } from '@devpocket/runtime';
import { Module } from '@nestjs/common';
import { MongooseModule } from '@nestjs/mongoose';
import { ClusterDefaultRepository } from './cluster-default.repository';
import { ClusterHealthService } from './cluster-health.service';
import { ClusterPlacement } from './cluster-placement';
import { ClusterUpkeep } from './cluster-upkeep';
import { ClusterUsageRegistry } from './cluster-usage';
import { ClusterRepository } from './cluster.repository';
import { ClusterDefaultRecord, ClusterDefaultSchema, ClusterRecord, ClusterSchema } from './cluster.schema';
import { ClustersController } from './clusters.controller';
import { ClustersService } from './clusters.service';
import { KeyRotationService } from './key-rotation.service';
import { Keyring } from './keyring';
import { KubeConfigs } from './kube-configs';
import { StoredClusterDirectory } from './stored-cluster-directory';

/** The clusters. `ClusterInspector` comes from above, where there is a runtime for them. */
@Module({
  imports: [
    AuditModule,
    MongooseModule.forFeature([
      { name: ClusterRecord.name, schema: ClusterSchema },
      { name: ClusterDefaultRecord.name, schema: ClusterDefaultSchema },
    ]),
  ],
  providers: [
    ClusterRepository,
    ClusterDefaultRepository,
    Keyring,
    KubeConfigs,
    { provide: ClusterDirectory, useClass: StoredClusterDirectory },
    ClusterUsageRegistry,
    ClusterPlacement,
    ClusterHealthService,
    ClustersService,
    KeyRotationService,
  ],
  exports: [
    ClustersService,
    ClusterHealthService,
    ClusterPlacement,
    ClusterUsageRegistry,
    ClusterDirectory,
    KeyRotationService,
    ClusterRepository,
    ClusterDefaultRepository,
    AuditModule,
  ],
})
export class ClustersModule {}

/** What a server has of them and the command line does not: routes, and what is done without being asked. */
@Module({ imports: [ClustersModule], controllers: [ClustersController], providers: [ClusterUpkeep] })
export class ClustersApiModule {}
