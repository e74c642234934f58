/** A terminal table: cli-table3 with boxes, or aligned columns without. */
import Table from 'cli-table3';

export interface TextTable {
  readonly head: readonly string[];
  /** Per column. */
  readonly align: readonly ('left' | 'right')[];
  readonly rows: readonly (readonly string[])[];
}

/** No trailing newline. `plain` has no boxes. */
export function renderTable(table: TextTable, plain: boolean): string {
  return plain ? renderPlain(table) : renderBoxed(table);
}

function renderBoxed(table: TextTable): string {
  // Empty styles: cli-table3 otherwise writes colour codes into pipes and files.
  const drawn = new Table({
    head: [...table.head],
    colAligns: [...table.align],
    style: { head: [], border: [], compact: true },
  });
  for (const row of table.rows) drawn.push([...row]);
  return drawn.toString();
}

function renderPlain(table: TextTable): string {
  const lines = [table.head, ...table.rows];
  const widths = table.head.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)));
  return lines
    .map((line) => {
      const cells = line.map((cell, column) => {
        const width = widths[column] as number;
        return table.align[column] === 'right' ? cell.padStart(width) : cell.padEnd(width);
      });
      return cells.join('  ').trimEnd();
    })
    .join('\n');
}
