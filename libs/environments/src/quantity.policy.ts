/**
 * Kubernetes quantities (apimachinery, `resource.Quantity`): a decimal number with an SI suffix (`m`, `k`, `M`, `G`, `T`, `P`, `E`), a
 * binary one (`Ki` … `Ei`) or an exponent (`e3`). Compared as numbers, exactly.
 */
const QUANTITY = /^(?=\.?\d)(\d{0,15})(?:\.(\d{0,9}))?(?:(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)|[eE](\d{1,2}))?$/;

const SI = ['', 'k', 'M', 'G', 'T', 'P', 'E'];
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** Thousandths as a fraction; null for what is no quantity. */
function millis(text: string): { readonly over: bigint; readonly under: bigint } | null {
  const match = QUANTITY.exec(text);
  if (!match) return null;
  const [, whole = '', fraction = '', suffix = '', exponent = '0'] = match;
  const factor = suffix.endsWith('i')
    ? 1000n * 1024n ** BigInt(BINARY.indexOf(suffix))
    : suffix === 'm'
      ? 1n
      : 1000n * 1000n ** BigInt(SI.indexOf(suffix)) * 10n ** BigInt(exponent);
  return { over: BigInt(whole + fraction) * factor, under: 10n ** BigInt(fraction.length) };
}

/** Thousandths of a core; null for what is none. As in Kubernetes there is nothing finer. */
export function cpuMillis(text: string): number | null {
  const value = millis(text);
  return value && value.over % value.under === 0n ? safe(value.over / value.under) : null;
}

/** Bytes; a fraction of a byte is rounded up, as Kubernetes does. Null for what is none. */
export function bytes(text: string): number | null {
  const value = millis(text);
  if (!value) return null;
  const thousand = value.under * 1000n;
  return safe((value.over + thousand - 1n) / thousand);
}

function safe(value: bigint): number | null {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? null : Number(value);
}
