/** Numbers as people read them: grouped digits, three significant ones where there is a fraction. */

/** `1234567.8` -> `1,234,568`; small values keep a fraction; NaN -> `-`. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '-';
  const magnitude = Math.abs(value);
  if (magnitude < 0.005) return '0';
  const digits = magnitude >= 100 || Number.isInteger(value) ? 0 : magnitude >= 10 ? 1 : 2;
  return value.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))(?<!\.\d*)/g, ',');
}

/** A count per operation: as above, but a rare event still shows that it happened. */
export function formatRate(value: number): string {
  return value > 0 && value < 0.005 ? value.toPrecision(1) : formatNumber(value);
}

/** `1.00x`, `12.3x`, `4,965x`. */
export function formatRatio(ratio: number): string {
  if (!Number.isFinite(ratio)) return '-';
  return `${ratio < 10 ? ratio.toFixed(2) : ratio < 100 ? ratio.toFixed(1) : formatNumber(Math.round(ratio))}x`;
}

/** `+3.4 %`. */
export function formatPercent(ratio: number): string {
  if (!Number.isFinite(ratio)) return '-';
  const percent = (ratio - 1) * 100;
  return `${percent >= 0 ? '+' : ''}${Math.abs(percent) < 10 ? percent.toFixed(2) : percent.toFixed(0)} %`;
}
