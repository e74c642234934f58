/** Progress on stderr: one redrawn line on a terminal, else one line per finished cell. */
import type { PlannedCell } from '../suite/plan.ts';
import type { Progress } from '../suite/session.ts';

export const SILENT: Progress = { phase: () => {}, cell: () => {}, end: () => {} };

export class StderrProgress implements Progress {
  readonly #terminal: boolean = process.stderr.isTTY === true;
  #phase = '';
  #total = 0;
  #done = 0;
  #started = 0;

  phase(name: string, total: number): void {
    this.#phase = name;
    this.#total = total;
    this.#done = 0;
    this.#started = performance.now();
  }

  cell(cell: PlannedCell, outcome: string): void {
    this.#done++;
    const elapsed = (performance.now() - this.#started) / 1000;
    const left = (elapsed / this.#done) * (this.#total - this.#done);
    const counted = `${this.#phase} ${this.#done}/${this.#total}`;
    if (!this.#terminal) process.stderr.write(`${counted} ${cell.id} ${outcome}\n`);
    else {
      const line = `${counted}  ${elapsed.toFixed(0)} s, about ${left.toFixed(0)} s left  ${cell.id}`;
      process.stderr.write(`\r\u001b[K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`);
    }
  }

  end(): void {
    if (this.#terminal) process.stderr.write('\r\u001b[K');
  }
}
