import { type ClusterInspector, RuntimeError } from '../src';
import { ACCEPTED_KUBE_CONFIGS, KUBE_SECRETS, kubeConfig, REFUSED_KUBE_CONFIGS } from './kube-configs';

/** What every inspector says of a kubeconfig; how it measures is shown on a real cluster. */
export function describeInspectorContract(name: string, inspector: () => ClusterInspector): void {
  describe(`the kubeconfigs of ${name}`, () => {
    const strict = { allowInsecure: false };
    const refusal = (text: string, options = strict): unknown => {
      try {
        inspector().checkKubeConfig(text, options);
        return null;
      } catch (error) {
        return error;
      }
    };

    it.each(Object.entries(ACCEPTED_KUBE_CONFIGS))('may have %s', (_what, text) => {
      expect(inspector().checkKubeConfig(text, strict)).toEqual({ endpoint: 'https://10.0.0.1:6443' });
    });

    it.each(Object.entries(REFUSED_KUBE_CONFIGS))('are refused with %s, in words that tell no secret', (_what, text) => {
      const error = refusal(text);
      expect(error).toBeInstanceOf(RuntimeError);
      expect(error).toMatchObject({ kind: 'invalid' });
      const told = String(error) + String(error instanceof Error ? error.cause : '');
      for (const secret of KUBE_SECRETS) expect(told).not.toContain(secret);
    });

    it('are those of the current context', () => {
      expect(inspector().checkKubeConfig(kubeConfig({ current: 'other' }), strict)).toEqual({
        endpoint: 'https://10.0.0.2:6443',
      });
    });

    it('may leave the certificate unchecked where that is allowed', () => {
      const text = REFUSED_KUBE_CONFIGS['an unchecked certificate'] ?? '';
      expect(refusal(text, { allowInsecure: true })).toBeNull();
    });
  });
}
