/** Balanced orders for the wall track: against drift and carry-over, every engine follows every other equally often. */

/** Williams' Latin square of `n` treatments: n rows, or 2n if n is odd. Each row is an order of 0..n-1. */
export function williamsSquare(n: number): number[][] {
  const first: number[] = [];
  for (let column = 0; column < n; column++) first.push(column % 2 === 0 ? column / 2 : n - (column + 1) / 2);
  const rows = Array.from({ length: n }, (_, row) => first.map((treatment) => (treatment + row) % n));
  return n % 2 === 0 ? rows : [...rows, ...rows.map((row) => [...row].reverse())];
}

/** A small seeded generator (mulberry32), for orders only: nothing measured depends on it. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A shuffled copy. */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const copy = [...items];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [copy[i], copy[j]] = [copy[j] as T, copy[i] as T];
  }
  return copy;
}
