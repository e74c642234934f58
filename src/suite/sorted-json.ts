/**
 * JSON for version control: sorted keys (a cell's `id` first, so that a diff says where it is), and innermost objects on
 * one line, so that a changed figure is a changed line.
 */
export function sortedJson(value: unknown): string {
  return `${render(value, '')}\n`;
}

function render(value: unknown, indent: string): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  const inner = `${indent} `;
  if (Array.isArray(value)) {
    if (value.every(isScalar)) return `[${value.map((item) => render(item, '')).join(', ')}]`;
    return `[\n${value.map((item) => inner + render(item, inner)).join(',\n')}\n${indent}]`;
  }
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  entries.sort(([a], [b]) => Number(b === 'id') - Number(a === 'id') || (a < b ? -1 : a > b ? 1 : 0));
  const fields = entries.map(([key, item]) => `${JSON.stringify(key)}: ${render(item, inner)}`);
  if (entries.every(([, item]) => isScalar(item))) return `{${fields.join(', ')}}`;
  return `{\n${fields.map((field) => inner + field).join(',\n')}\n${indent}}`;
}

function isScalar(value: unknown): boolean {
  return value === null || typeof value !== 'object' || Object.keys(value).length === 0;
}
