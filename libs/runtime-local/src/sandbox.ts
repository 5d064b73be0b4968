import { existsSync, lstatSync, readlinkSync, realpathSync } from 'node:fs';
import { TOKEN_BYTES } from './descriptor-passing';
import { type ResourceLimits } from '@devpocket/runtime';
import { MOST_PROCESSES } from './cgroup';
import { type HostSpec } from './host-protocol';
import { fence, isOutward, RESOLVER } from './sandbox-network';

/** Descriptors that the sandbox's set-up reads and writes. */
export const FD = { info: 3, status: 4, passwd: 5, group: 6, profile: 7, hosts: 8, keeper: 9, resolver: 10 } as const;

/**
 * Those of the server's folders that lie in what environments see of the system; not one that holds the system's programs, and
 * none within another.
 */
export function hiddenFolders(folders: readonly string[]): readonly string[] {
  const within = (path: string, folder: string): boolean => `${path}/`.startsWith(`${folder}/`);
  const seen = folders
    .map((folder) => realpathSync(folder))
    .filter((folder) => /^\/(usr|opt)\/./.test(folder) && !SYSTEM_PATH.split(':').some((programs) => within(programs, folder)));
  return seen.filter((folder) => !seen.some((other) => other !== folder && within(folder, other)));
}

const SYSTEM_PATH = '/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin';

/** Of /etc only what programs need to find names, certificates, libraries and the time zone. */
const ETC = [
  '/etc/ld.so.cache',
  '/etc/ld.so.conf',
  '/etc/ld.so.conf.d',
  '/etc/ssl',
  '/etc/ca-certificates',
  '/etc/pki',
  '/etc/alternatives',
  '/etc/localtime',
  '/etc/timezone',
  '/etc/nsswitch.conf',
  '/etc/protocols',
  '/etc/services',
  '/etc/terminfo',
  '/etc/inputrc',
  '/etc/bash.bashrc',
  '/etc/profile',
  '/etc/mime.types',
];
const MOST_FILES = 4096;
const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];
export const PROFILE = '/run/devpocket/profile';
const KEEPER_FILE = '/run/devpocket/terminals';
/** Where a program that starts shells says what it did. */
export const STATUS_FD = 3;

/** What each process is held to; without control groups more is. */
function processLimits({ memoryBytes, storageBytes }: ResourceLimits, grouped: boolean): readonly string[] {
  const memory = grouped ? [] : [`--data=${memoryBytes}`];
  return ['prlimit', '--core=0', `--nofile=${MOST_FILES}`, `--fsize=${storageBytes}`, ...memory, '--'];
}

/** Set inside: Linux counts processes per user of a user namespace. */
function countLimit(grouped: boolean): readonly string[] {
  return grouped ? [] : ['/usr/bin/prlimit', `--nproc=${MOST_PROCESSES}`, '--'];
}

export interface SandboxPlan {
  readonly bwrap: string;
  /** Of iproute2; null: there is none. */
  readonly ip: string | null;
  readonly spec: HostSpec;
  readonly workspace: string;
  /** Of the environment's processes; null: the server is no root and they are this user's. */
  readonly uid: number | null;
  readonly groups: readonly string[];
  /** What of the server's lies where environments look. */
  readonly hidden: readonly string[];
}

/** The command that makes a sandbox and runs the startup commands in it. */
export function sandboxCommand(plan: SandboxPlan): readonly string[] {
  const { ip, spec, workspace, uid, groups, hidden } = plan;
  const fenced = fence(spec.network, ip);
  const limits = processLimits(spec.resources, groups.length > 0);
  if (uid === null)
    return ['/bin/sh', '-c', JOIN_GROUPS, 'devpocket', ...groups, '--', ...limits, ...bwrapArguments(plan, fenced)];
  return [
    ...['unshare', '--mount', ...(fenced.length > 0 ? ['--net'] : []), '--propagation', 'private', '--'],
    ...fenced,
    ...['/bin/sh', '-c', ROOT_SETUP, 'devpocket', workspace, String(uid), ...groups, '--', ...hidden, '--'],
    ...limits,
    ...bwrapArguments({ ...plan, workspace: '/mnt/workspace' }, fenced),
  ];
}

/** bubblewrap's arguments, for one that runs as the environment's own user. */
function bwrapArguments(
  { bwrap, spec, workspace, uid, groups, hidden }: SandboxPlan,
  fenced: readonly string[],
): readonly string[] {
  const { memoryBytes } = spec.resources;
  const asRoot = uid !== null;
  const fencesItself = fenced.length > 0 && !asRoot;
  const hasNetwork = spec.network === 'host' || (fenced.length > 0 && asRoot);
  const bind = (path: string): readonly string[] => (existsSync(path) ? ['--ro-bind', path, path] : []);
  return [
    bwrap,
    '--die-with-parent',
    '--unshare-user',
    '--unshare-pid',
    '--unshare-ipc',
    '--unshare-uts',
    '--unshare-cgroup-try',
    ...(hasNetwork ? [] : ['--unshare-net']),
    '--hostname',
    spec.name,
    '--info-fd',
    String(FD.info),
    ...bind('/usr'),
    ...['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'].flatMap(systemFolder),
    ...bind('/opt'),
    ...(asRoot ? [] : hidden.flatMap((folder) => ['--size', '4096', '--tmpfs', folder, '--remount-ro', folder])),
    ...ETC.flatMap(bind),
    ...resolver(spec.network),
    '--ro-bind-data',
    String(FD.passwd),
    '/etc/passwd',
    '--ro-bind-data',
    String(FD.group),
    '/etc/group',
    '--ro-bind-data',
    String(FD.hosts),
    '/etc/hosts',
    '--perms',
    '0400',
    '--ro-bind-data',
    String(FD.profile),
    PROFILE,
    '--perms',
    '0400',
    '--ro-bind-data',
    String(FD.keeper),
    KEEPER_FILE,
    '--proc',
    '/proc',
    // A terminal of its own per program (tmux, script) needs devpts, which only root can join later.
    ...(asRoot ? ['--dev', '/dev'] : plainDevices()),
    ...memoryFolder('/dev/shm', memoryBytes),
    ...['--remount-ro', '/dev'],
    ...memoryFolder('/tmp', memoryBytes),
    ...['--symlink', '../tmp', '/var/tmp'],
    '--bind',
    workspace,
    '/workspace',
    '--remount-ro',
    '/',
    '--chdir',
    '/workspace',
    '--new-session',
    ...(fencesItself ? ['--cap-add', 'CAP_NET_ADMIN'] : []),
    '--clearenv',
    ...(fencesItself ? [...fenced, '/usr/bin/setpriv', '--inh-caps=-all', '--ambient-caps=-all', '--'] : []),
    ...countLimit(groups.length > 0),
    '/bin/sh',
    '-c',
    INIT,
    'devpocket',
    ...spec.startupCommands,
  ];
}

function resolver(network: HostSpec['network']): readonly string[] {
  if (network === 'none') return [];
  if (isOutward(network)) return ['--ro-bind-data', String(FD.resolver), '/etc/resolv.conf'];
  return existsSync('/etc/resolv.conf') ? ['--ro-bind', '/etc/resolv.conf', '/etc/resolv.conf'] : [];
}

/** On a merged system these are links into /usr. */
function systemFolder(path: string): readonly string[] {
  if (!existsSync(path)) return [];
  return lstatSync(path).isSymbolicLink() ? ['--symlink', readlinkSync(path), path] : ['--ro-bind', path, path];
}

function plainDevices(): readonly string[] {
  return [
    '--tmpfs',
    '/dev',
    ...DEVICES.flatMap((name) => ['--dev-bind', `/dev/${name}`, `/dev/${name}`]),
    '--symlink',
    '/proc/self/fd',
    '/dev/fd',
    '--symlink',
    '/proc/self/fd/0',
    '/dev/stdin',
    '--symlink',
    '/proc/self/fd/1',
    '/dev/stdout',
    '--symlink',
    '/proc/self/fd/2',
    '/dev/stderr',
  ];
}

/** Without control groups only its own size bounds what it takes of the memory. */
function memoryFolder(path: string, memoryBytes: number): readonly string[] {
  return ['--size', String(Math.max(1_048_576, Math.floor(memoryBytes / 2))), '--perms', '1777', '--tmpfs', path];
}

/**
 * The sandbox's first program: runs the startup commands, tells on the status descriptor how they went, and then only holds the
 * namespaces.
 */
const INIT = `
. ${PROFILE}
echo begun >&${FD.status}
for command in "$@"; do
  sh -c "$command" </dev/null ${FD.status}>&-
  code=$?
  if [ $code -ne 0 ]; then echo "failed $code $command" >&${FD.status}; break; fi
done
echo ready >&${FD.status}
exec ${FD.status}>&- >/dev/null 2>&1
while :; do /bin/sleep 2147483; done
`;

/** Joins the groups, makes the workspace reachable for the environment's user in a mount namespace of its own, becomes that user. */
const ROOT_SETUP = `
set -e
workspace=$1; uid=$2; shift 2
while [ "$1" != -- ]; do echo $$ > "$1"; shift; done
shift
mount -t tmpfs -o mode=0755,size=64k tmpfs /mnt
mkdir /mnt/workspace
mount --bind "$workspace" /mnt/workspace
while [ "$1" != -- ]; do mount -t tmpfs -o ro,mode=0755,size=4k tmpfs "$1"; shift; done
shift
exec setpriv --reuid="$uid" --regid="$uid" --clear-groups -- "$@"
`;

/** Joins the groups (they may be none), then becomes what follows. */
const JOIN_GROUPS = 'while [ "$1" != -- ]; do echo $$ > "$1"; shift; done; shift; exec "$@"';

/** What the sandbox's set-up reads, by descriptor: none is given that it does not read. */
export function setUpTexts(spec: HostSpec, uid: number): readonly (readonly [number, string])[] {
  const { passwd, group } = accounts(uid);
  const resolver = isOutward(spec.network) ? ([[FD.resolver, `nameserver ${RESOLVER}\n`]] as const) : [];
  return [
    [FD.passwd, passwd],
    [FD.group, group],
    [FD.profile, profile(spec.environmentVariables)],
    [FD.hosts, hosts(spec.name)],
    [FD.keeper, KEEPER],
    ...resolver,
  ];
}

/** The files that stand in for the machine's own. */
function accounts(uid: number): { readonly passwd: string; readonly group: string } {
  return {
    passwd: `root:x:0:0:root:/:/bin/false\ndev:x:${uid}:${uid}:dev:/workspace:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n`,
    group: `root:x:0:\ndev:x:${uid}:\nnogroup:x:65534:\n`,
  };
}

function hosts(name: string): string {
  return `127.0.0.1 localhost ${name}\n::1 localhost ip6-localhost\n`;
}

/** The user's variables as a script that shells read: they are in no program's environment or arguments before. */
function profile(variables: Readonly<Record<string, string>>): string {
  const all = { ...BASE_VARIABLES, ...variables };
  return Object.entries(all)
    .map(([name, value]) => `export ${name}=${quote(value)}\n`)
    .join('');
}

export const BASE_VARIABLES: Readonly<Record<string, string>> = {
  HOME: '/workspace',
  USER: 'dev',
  LOGNAME: 'dev',
  SHELL: existsSync('/bin/bash') ? '/bin/bash' : '/bin/sh',
  PATH: `/workspace/.local/bin:${SYSTEM_PATH}`,
  LANG: 'C.UTF-8',
  TERM: 'xterm-256color',
  COLORTERM: 'truecolor',
  TMPDIR: '/tmp',
  PS1: '\\w\\$ ',
};

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** What runs in a terminal, inside: a session of its own on its terminal, no privileges to gain, the user's variables, a shell. */
const LOGIN = `. ${PROFILE}; cd /workspace 2>/dev/null; [ -x /bin/bash ] && exec /usr/bin/setsid -c /bin/bash -i; exec /usr/bin/setsid -c /bin/sh -i`;

/** Numbers of Linux's setsid(2) and recvmsg(2), which differ from one kind of processor to another; that of pidfd_open(2) does not. */
const CALLS: Readonly<Partial<Record<NodeJS.Architecture, readonly [number, number]>>> = { x64: [112, 47], arm64: [157, 212] };
const PIDFD_OPEN = 434;
const TIOCSCTTY = 0x540e;
const MSG_CMSG_CLOEXEC = 0x4000_0000;

/**
 * Starts a shell on each terminal that comes over its input, says so, and says how each ended, as wait(2) has it. In perl: it can take
 * descriptors, begin a session itself, wait for many ends at once, and tells a signal from a code. A terminal that is another's by then ends
 * its shell before it begins; what ends shells in a terminal does not end whoever waits for them. Handlers and what is closed on exec are not
 * passed on; that perl ignores SIGFPE would be.
 */
const KEEPER = String.raw`
my ($setsid, $recvmsg) = @ARGV;
my ($said, %shells, $waiting);
syscall(${PIDFD_OPEN}, $$ + 0, 0) >= 0 or exit 1;
$SIG{$_} = sub {} for qw(HUP INT TERM);
open($said, '>&=', ${STATUS_FD});
my $variables = do { local $/; open(my $file, '<', '${PROFILE}') or exit 1; <$file> };
while ($variables =~ /\Gexport (\w+)='([^']*(?:'\\''[^']*)*)'\n/g) { ($ENV{$1} = $2) =~ s/'\\''/'/g }
$ENV{SHLVL} = 0;
chdir '/workspace';
my $shell = -x '/bin/bash' ? '/bin/bash' : '/bin/sh';
# Of their own, and never moved: the kernel writes into them.
vec(my $order, ${TOKEN_BYTES} - 1, 8) = 0;
vec(my $control, 23, 8) = 0;
my $parts = pack('PJ', $order, ${TOKEN_BYTES});
vec($waiting, 0, 1) = 1;
syswrite($said, "ready\n");
while (vec($waiting, 0, 1) || %shells) {
  next if select(my $ready = $waiting, undef, undef, undef) < 0;
  if (vec($ready, 0, 1)) {
    my $message = pack('JJPJPJJ', 0, 0, $parts, 1, $control, length $control, 0);
    if (syscall($recvmsg, 0, $message, ${MSG_CMSG_CLOEXEC}) <= 0) { vec($waiting, 0, 1) = 0; next }
    my ($number) = $order =~ /^(\d+)/;
    open(my $terminal, '+<&=', unpack('x16l', $control));
    my $pid = fork;
    if (!defined $pid) { syswrite($said, "refused $number\n"); next }
    if (!$pid) {
      syscall($setsid);
      ioctl($terminal, ${TIOCSCTTY}, 0) or exit 126;
      open(STDIN, '<&', $terminal);
      open(STDOUT, '>&', $terminal);
      open(STDERR, '>&', $terminal);
      $SIG{FPE} = 'DEFAULT';
      exec $shell, '-i' or exit 127;
    }
    syswrite($said, "begun $number $pid\n");
    my $end = syscall(${PIDFD_OPEN}, $pid, 0);
    open(my $closed, '<&=', $end) or exit 1;
    $shells{$end} = [$number, $pid, $closed];
    vec($waiting, $end, 1) = 1;
  }
  for my $end (grep { vec($ready, $_, 1) } keys %shells) {
    my ($number, $pid) = @{$shells{$end}};
    waitpid($pid, 0);
    syswrite($said, "ended $number $?\n");
    vec($waiting, $end, 1) = 0;
    delete $shells{$end};
  }
}
`;

export interface Joining {
  /** The sandbox's first process, as this machine counts. */
  readonly target: number;
  readonly uid: number | null;
  readonly groups: readonly string[];
  readonly resources: ResourceLimits;
}

/**
 * The command that joins a terminal to a sandbox. Each program of the chain takes the better part of a millisecond. What variables it is
 * started with the shell inside has too, unless the profile sets them anew, as it does PATH and LANG.
 */
export function joinArguments(
  { target, uid, groups, resources }: Joining,
  program: readonly string[] = ['/bin/sh', '-c', LOGIN],
): readonly string[] {
  const grouped = groups.length > 0;
  const spaces = ['-m', '-p', '-n', '-i', '-u'];
  const become = uid === null ? ['-U', '--preserve-credentials'] : ['-S', String(uid), '-G', String(uid), '-U'];
  return [
    '/bin/sh',
    '-c',
    JOIN_GROUPS,
    'devpocket',
    ...groups,
    '--',
    ...processLimits(resources, grouped),
    'nsenter',
    '-t',
    String(target),
    ...become,
    ...spaces,
    '--',
    '/usr/bin/setpriv',
    '--no-new-privs',
    ...countLimit(grouped),
    ...program,
  ];
}

/** The command that joins a program to a sandbox that starts its shells; null: there is none for this machine. */
export function keeperArguments(joining: Joining): readonly string[] | null {
  const calls = CALLS[process.arch];
  return calls ? joinArguments(joining, ['/usr/bin/perl', KEEPER_FILE, ...calls.map(String)]) : null;
}
