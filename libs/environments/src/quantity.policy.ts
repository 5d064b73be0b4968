/**
 * Kubernetes quantities (apimachinery, `resource.Quantity`): a decimal number with an SI suffix (`m`, `k`, `M`, `G`, `T`, `P`, `E`), a
 * binary one (`Ki` … `Ei`) or an exponent (`e3`). Compared as numbers, exactly.
 */
const QUANTITY = /^(\d{1,15})(?:\.(\d{1,9}))?(?:(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)|[eE](\d{1,2}))?$/;

const SI = ['', 'k', 'M', 'G', 'T', 'P', 'E'];
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** In thousandths; null for what is no quantity or not a whole number of thousandths. */
function millis(text: string): bigint | null {
  const match = QUANTITY.exec(text);
  if (!match) return null;
  const [, whole = '', fraction = '', suffix = '', exponent = '0'] = match;
  const digits = BigInt(whole + fraction);
  const factor = suffix.endsWith('i')
    ? 1000n * 1024n ** BigInt(BINARY.indexOf(suffix))
    : suffix === 'm'
      ? 1n
      : 1000n * 1000n ** BigInt(SI.indexOf(suffix)) * 10n ** BigInt(exponent);
  const product = digits * factor;
  const divisor = 10n ** BigInt(fraction.length);
  return product % divisor === 0n ? product / divisor : null;
}

/** Thousandths of a core; null for what is none. */
export function cpuMillis(text: string): number | null {
  return safe(millis(text));
}

/** Bytes; a fraction of a byte is rounded up, as Kubernetes does. Null for what is none. */
export function bytes(text: string): number | null {
  const value = millis(text);
  return value === null ? null : safe((value + 999n) / 1000n);
}

function safe(value: bigint | null): number | null {
  return value === null || value > BigInt(Number.MAX_SAFE_INTEGER) ? null : Number(value);
}
