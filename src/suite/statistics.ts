/**
 * Statistics of the wall track. Samples are never dropped: robustness comes from trimming a fixed share of both tails
 * and from Yuen's interval, which accounts for the trimming.
 */

/** Middle value, or the mean of the two middle values. NaN of nothing. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? at(sorted, middle) : (at(sorted, middle - 1) + at(sorted, middle)) / 2;
}

/** Geometric mean of positive values. NaN of nothing. */
export function geometricMean(values: readonly number[]): number {
  return Math.exp(mean(values.map(Math.log)));
}

export function mean(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

/** Mean without the lowest and highest `share` of the values (20 % from each end unless told otherwise). */
export function trimmedMean(values: readonly number[], share = 0.2): number {
  const sorted = [...values].sort((a, b) => a - b);
  const cut = Math.floor(share * sorted.length);
  return mean(sorted.slice(cut, sorted.length - cut));
}

export interface Interval {
  readonly estimate: number;
  readonly low: number;
  readonly high: number;
  /** Two-sided p value of the estimate being zero. */
  readonly p: number;
}

/** Yuen's interval for the trimmed mean of one sample (Wilcox, "Introduction to Robust Estimation", 4.3). */
export function yuenInterval(values: readonly number[], confidence = 0.95, share = 0.2): Interval {
  const n = values.length;
  const cut = Math.floor(share * n);
  const kept = n - 2 * cut;
  const estimate = trimmedMean(values, share);
  if (kept < 2) return { estimate, low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY, p: 1 };
  const sorted = [...values].sort((a, b) => a - b);
  const winsorized = sorted.map((value) => Math.min(Math.max(value, at(sorted, cut)), at(sorted, n - 1 - cut)));
  const middle = mean(winsorized);
  let squares = 0;
  for (const value of winsorized) squares += (value - middle) ** 2;
  const error = Math.sqrt(squares / (kept * (kept - 1)));
  const half = studentQuantile(1 - (1 - confidence) / 2, kept - 1) * error;
  const p = error === 0 ? (estimate === 0 ? 1 : 0) : 2 * (1 - studentCdf(Math.abs(estimate) / error, kept - 1));
  return { estimate, low: estimate - half, high: estimate + half, p };
}

/** Holm's step-down adjustment: p values that may be compared with alpha each, in the order given. */
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((_, index) => index).sort((a, b) => at(ps, a) - at(ps, b));
  const adjusted = new Array<number>(ps.length).fill(1);
  let worst = 0;
  for (const [rank, index] of order.entries()) {
    worst = Math.max(worst, Math.min(1, at(ps, index) * (ps.length - rank)));
    adjusted[index] = worst;
  }
  return adjusted;
}

/** P(T <= t) of Student's distribution. */
export function studentCdf(t: number, freedom: number): number {
  const x = freedom / (freedom + t * t);
  const tail = 0.5 * incompleteBeta(x, freedom / 2, 0.5);
  return t > 0 ? 1 - tail : tail;
}

/** The t with P(T <= t) = probability, by bisection; probability in (0, 1). */
export function studentQuantile(probability: number, freedom: number): number {
  let low = -1e3;
  let high = 1e3;
  for (let step = 0; step < 200 && high - low > 1e-12; step++) {
    const middle = (low + high) / 2;
    if (studentCdf(middle, freedom) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Regularized incomplete beta function by its continued fraction (Press et al., "Numerical Recipes", 6.4). */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x));
  if (x > (a + 1) / (a + b + 2)) return 1 - (front * betaFraction(1 - x, b, a)) / b;
  return (front * betaFraction(x, a, b)) / a;
}

function betaFraction(x: number, a: number, b: number): number {
  const tiny = 1e-300;
  const safe = (value: number): number => (Math.abs(value) < tiny ? tiny : value);
  let c = 1;
  let d = 1 / safe(1 - ((a + b) * x) / (a + 1));
  let result = d;
  for (let m = 1; m <= 300; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / safe(1 + even * d);
    c = safe(1 + even / c);
    result *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / safe(1 + odd * d);
    c = safe(1 + odd / c);
    const step = d * c;
    result *= step;
    if (Math.abs(step - 1) < 1e-14) break;
  }
  return result;
}

/** Lanczos' approximation, g = 7. */
function logGamma(z: number): number {
  const coefficients = [
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
  ];
  if (z < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * z)) - logGamma(1 - z);
  let sum = at(coefficients, 0);
  for (let i = 1; i < coefficients.length; i++) sum += at(coefficients, i) / (z - 1 + i);
  const t = z + 6.5;
  return 0.5 * Math.log(2 * Math.PI) + (z - 0.5) * Math.log(t) - t + Math.log(sum);
}

function at(values: readonly number[], index: number): number {
  return values[index] as number;
}
