const BINARY: Readonly<Record<string, number>> = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50, Ei: 2 ** 60 };
const DECIMAL: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
};

/** A quantity of the Kubernetes API as a number; NaN for what is none. */
export function numberOf(quantity: string): number {
  const [, digits = '', suffix = ''] = /^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([A-Za-z]*)$/.exec(quantity) ?? [];
  return Number(digits || NaN) * (BINARY[suffix] ?? DECIMAL[suffix] ?? NaN);
}

export function bytesOf(quantity: string | undefined): number {
  return quantity === undefined ? 0 : Math.round(numberOf(quantity));
}

export function millisOf(quantity: string | undefined): number {
  return quantity === undefined ? 0 : Math.round(numberOf(quantity) * 1000);
}
