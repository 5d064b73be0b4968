import { MetricsRegistry } from '@devpocket/http';
import { Injectable } from '@nestjs/common';
import { Counter, Gauge } from 'prom-client';
import { HostedSessions } from './hosted-sessions';
import { TerminalSessionsService } from './terminal-sessions.service';

/** What is measured of shells, wherever their sessions live. */
@Injectable()
export class TerminalMetrics {
  constructor(sessions: TerminalSessionsService, hosted: HostedSessions, metrics: MetricsRegistry) {
    new Gauge({
      name: 'devpocket_terminal_sessions',
      help: 'Shells that are open',
      registers: [metrics],
      collect(): void {
        this.set(sessions.alive + hosted.alive);
      },
    });
    new Counter({
      name: 'devpocket_terminal_output_bytes_total',
      help: 'Bytes that shells have printed',
      registers: [metrics],
      collect(): void {
        this.inc(sessions.takePrinted() + hosted.takePrinted());
      },
    });
  }
}
