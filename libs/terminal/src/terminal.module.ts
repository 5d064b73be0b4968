import { AuthSettings } from '@devpocket/config';
import { EnvironmentsModule } from '@devpocket/environments';
import { ConnectionTaker } from '@devpocket/http';
import { Clock } from '@devpocket/kernel';
import { Module } from '@nestjs/common';
import { EventsGateway } from './events.gateway';
import { HostedSessions } from './hosted-sessions';
import { LogsGateway } from './logs.gateway';
import { ReplicaClient } from './replica-client';
import { ReplicaListener } from './replica-listener';
import { ReplicaSeal } from './replica-seal';
import { SocketRegistry } from './socket-registry';
import { TerminalGateway } from './terminal.gateway';
import { TerminalHomes } from './terminal-homes';
import { TerminalMetrics } from './terminal-metrics';
import { TerminalSessionsService } from './terminal-sessions.service';
import { TerminalsController } from './terminals.controller';

@Module({
  imports: [EnvironmentsModule],
  controllers: [TerminalsController],
  providers: [
    TerminalSessionsService,
    TerminalHomes,
    SocketRegistry,
    TerminalGateway,
    LogsGateway,
    EventsGateway,
    {
      provide: ReplicaSeal,
      inject: [AuthSettings, Clock],
      useFactory: ({ secretKey }: AuthSettings, clock: Clock) => new ReplicaSeal(secretKey, clock),
    },
    HostedSessions,
    { provide: ConnectionTaker, useExisting: HostedSessions },
    TerminalMetrics,
    ReplicaClient,
    ReplicaListener,
  ],
})
export class TerminalModule {}
