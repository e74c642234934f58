/** Numbers as people read them: grouped digits, three significant ones where there is a fraction. */

/** `1234567.8` -> `1,234,568`; small values keep a fraction; NaN -> `-`. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return '-';
  const magnitude = Math.abs(value);
  if (magnitude < 0.005) return '0';
  const digits = magnitude >= 100 || Number.isInteger(value) ? 0 : magnitude >= 10 ? 1 : 2;
  return grouped(value.toFixed(digits));
}

function grouped(value: string | number): string {
  return String(value).replace(/\B(?=(\d{3})+(?!\d))(?<!\.\d*)/g, ',');
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

/** Two numbers as above, with as many digits more as it takes to tell them apart. */
export function formatApart(before: number, after: number): [string, string] {
  const texts: [string, string] = [formatNumber(before), formatNumber(after)];
  const differ = Number.isFinite(before) && before !== after;
  for (let digits = 3; differ && texts[0] === texts[1] && digits <= 15; digits++) {
    texts[0] = grouped(Number(before.toPrecision(digits)));
    texts[1] = grouped(Number(after.toPrecision(digits)));
  }
  return texts;
}

/** `+507`, `-0.0004`: a change shows, however small. */
export function formatChange(value: number): string {
  const tiny = value !== 0 && Math.abs(value) < 0.005;
  const text = tiny ? value.toPrecision(1) : formatNumber(value);
  return value > 0 ? `+${text}` : text;
}

/** `+3.4 %`; a change shows, however small. */
export function formatPercent(ratio: number): string {
  if (!Number.isFinite(ratio)) return '-';
  const percent = (ratio - 1) * 100;
  if (percent !== 0 && Math.abs(percent) < 0.005) return `${formatChange(percent)} %`;
  return `${percent >= 0 ? '+' : ''}${Math.abs(percent) < 10 ? percent.toFixed(2) : percent.toFixed(0)} %`;
}
