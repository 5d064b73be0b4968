import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './server-process';

/** nginx before several servers: each connection and each request goes to the next of them, whoever asks. */
export class RoundRobin {
  private readonly folder = mkdtempSync(join(tmpdir(), 'devpocket-nginx-'));
  private child: ChildProcess | null = null;
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
    this.port ||= await freePort();
    chmodSync(this.folder, 0o755); // started by root, its worker is somebody else
    writeFileSync(join(this.folder, 'nginx.conf'), this.configuration(ports));
    if (this.child) this.child.kill('SIGHUP');
    else
      this.child = spawn('nginx', ['-p', this.folder, '-c', join(this.folder, 'nginx.conf'), '-e', 'stderr'], {
        stdio: 'ignore',
      });
    while (!(await this.answers(ports))) await delay(20);
  }

  async close(): Promise<void> {
    const { child } = this;
    if (child?.exitCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A reload is not done when it is asked for: the worker of before goes on for a moment. */
  private async answers(ports: readonly number[]): Promise<boolean> {
    const answer = await fetch(`${this.url}/nginx-servers`, { headers: { connection: 'close' } }).catch(() => null);
    return answer !== null && (await answer.text()) === ports.join();
  }

  private configuration(ports: readonly number[]): string {
    const servers = ports.map((port) => `server 127.0.0.1:${port} max_fails=1 fail_timeout=1s;`).join(' ');
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${join(this.folder, name)};`,
    );
    return `
daemon off;
worker_processes 1;
pid ${join(this.folder, 'nginx.pid')};
error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  ${temporary.join('\n  ')}
  upstream replicas { ${servers} keepalive 64; }
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${this.port};
    client_max_body_size 10m;
    location = /nginx-servers { return 200 '${ports.join()}'; }
    location / {
      proxy_pass http://replicas;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For ${this.forwards ? '$http_x_forwarded_for' : '$remote_addr'};
      proxy_next_upstream error timeout;
      proxy_connect_timeout 1s;
      proxy_read_timeout 120s;
      proxy_buffering off;
    }
  }
}
`;
  }
}
