import { setTimeout as delay } from 'node:timers/promises';
import { NginxProcess } from '../nginx/nginx-process';
import { freePort } from './server-process';

/** The product's nginx before several servers of this machine: each request goes to the next of them, whoever asks. */
export class RoundRobin {
  private nginx: NginxProcess | null = null;
  private port = 0;
  private leading = '';

  /** @param forwards what a client says of where it comes from: servers then see it as if nothing were before them */
  constructor(private readonly forwards = false) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Begins, or goes on with other servers. @param ports of the servers */
  async lead(ports: readonly number[]): Promise<void> {
    if (ports.join() === this.leading) return; // a reload would end connections that wait
    this.leading = ports.join();
    const files = {
      'upstream.conf': upstream(ports),
      'tls/servers.conf': `location = /nginx-servers { return 200 '${ports.join()}'; }\n`,
    };
    if (this.nginx) this.nginx.reload(files);
    else {
      this.port = await freePort();
      this.nginx = NginxProcess.prepare('nginx.conf', await this.changes(), files);
      await this.nginx.start(this.port);
    }
    while (!(await this.answers(ports))) await delay(20);
  }

  async close(): Promise<void> {
    await this.nginx?.close();
  }

  /** What is of the composition, not of these servers; and all load here comes from one address. */
  private async changes(): Promise<Readonly<Record<string, string>>> {
    return {
      'listen 8080 default_server': `listen 127.0.0.1:${this.port} default_server`,
      'listen 127.0.0.1:8081': `listen 127.0.0.1:${await freePort()}`,
      'rate=50r/s': 'rate=100000r/s',
      ...(this.forwards ? { 'X-Forwarded-For $remote_addr': 'X-Forwarded-For $http_x_forwarded_for' } : {}),
    };
  }

  /** A reload is not done when it is asked for: the workers of before go on for a moment. */
  private async answers(ports: readonly number[]): Promise<boolean> {
    const answer = await fetch(`${this.url}/nginx-servers`, { headers: { connection: 'close' } }).catch(() => null);
    return answer !== null && (await answer.text()) === ports.join();
  }
}

/** In the composition these are the addresses of a name. */
function upstream(ports: readonly number[]): string {
  const servers = ports.map((port) => `server 127.0.0.1:${port} max_fails=1 fail_timeout=1s;`).join(' ');
  return `upstream replicas { ${servers} keepalive 64; }\nmap $host $api { default replicas; }\n`;
}
