import { Installation } from '@devpocket/database';
import { testSettings } from '@testing/config';
import { serverKubeConfig, TEST_IMAGE, TestCluster } from '@testing/runtime-kubernetes';
import { TestApi, type TestUser } from '../testing';
import { describeWholeLife, LifeRig } from '../testing/whole-life';
import { runtimesOf } from './runtime-drivers';

describe('environments in clusters, over HTTP and WebSocket', () => {
  const { drivers, inspector } = runtimesOf(testSettings({ DATA_DIR: 'unused', RUNTIME: 'kubernetes' }));
  const api = new TestApi(
    (_dataDir, needs) => drivers(needs),
    { ALLOW_CUSTOM_IMAGES: 'true', ALLOWED_IMAGE_PATTERNS: `${TEST_IMAGE},127.0.0.1:*/*` },
    inspector,
  );
  let owner: TestUser;
  /** The real cluster, to look behind the server. */
  let cluster: TestCluster;
  const clusterOf: Record<string, string> = {};
  const life = new LifeRig(
    api,
    () => owner,
    TEST_IMAGE,
    () => cluster.left(),
  );

  beforeAll(async () => {
    await api.start();
    owner = await api.administrator('operator');
    cluster = await TestCluster.open(await api.running.app.get(Installation).id());
    // The same cluster twice, as two of them.
    for (const region of ['us-east', 'eu-central']) {
      const kube_config = Buffer.from(serverKubeConfig()).toString('base64');
      const added = await life.ask('POST', '/clusters', { name: `of-${region}`, region, kube_config, is_default: true });
      clusterOf[region] = String(added.id);
    }
  });
  afterAll(async () => {
    await api.close();
    await cluster.close();
  });

  it('are placed by their region, and nowhere where there is none', async () => {
    const [east, central] = await Promise.all([
      life.create('east', { region: 'us-east' }),
      life.create('central', { region: 'eu-central' }),
    ]);
    expect(await life.reach(east, 'running')).toMatchObject({ cluster_id: clusterOf['us-east'], region: 'us-east' });
    expect(await life.reach(central, 'running')).toMatchObject({ cluster_id: clusterOf['eu-central'], region: 'eu-central' });
    await expect(life.create('nowhere', { region: 'asia-pacific' })).rejects.toMatchObject({
      status: 503,
      code: 'no_cluster_available',
    });
    expect(await life.ask('GET', `/clusters/${clusterOf['us-east']}`)).toMatchObject({ environments_count: 1 });
    expect(await life.ask('GET', `/clusters/${clusterOf['us-east']}/health`)).toMatchObject({ status: 'healthy', node_count: 1 });
    await Promise.all([life.remove(east), life.remove(central)]);
  });

  describeWholeLife(() => life, /^pods/);

  it('whose volume the cluster refuses to grow say so, and go on with what they have', async () => {
    const id = await life.create('small', { resources: { storage: '32Mi' } });
    await life.reach(id, 'running');
    const larger = await life.ask('PATCH', `/environments/${id}`, { resources: { storage: '64Mi' } });
    expect(larger).toMatchObject({ restart_required: ['resources'], status_reason: null });
    await life.act(id, 'stop', 'stopped');
    await life.act(id, 'start', 'running');
    const failed = {
      status_reason: 'volume_failed',
      status_message: expect.stringMatching(/^The volume could not grow: .*resize/) as string,
    };
    expect(await life.ask('GET', `/environments/${id}`)).toMatchObject(failed);
    const events = (await owner.client.request('GET', `/environments/${id}/events`)) as readonly object[];
    expect(events).toContainEqual(expect.objectContaining({ type: 'running', reason: 'volume_failed' }));
    await life.remove(id);
  });
});
