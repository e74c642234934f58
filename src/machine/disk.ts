/**
 * A disk's contents: an image that is never changed, and the sectors written since. A snapshot holds only the latter.
 */
export const SECTOR_BYTES = 512;
const SECTOR_WORDS = SECTOR_BYTES / 4;

export class Disk {
  /** In sectors. */
  readonly size: number;
  readonly #image: Uint8Array;
  readonly #written = new Map<number, Uint8Array>();

  /** A part of a sector at the image's end is filled up with zeros. */
  constructor(image: Uint8Array) {
    this.#image = image;
    this.size = Math.ceil(image.length / SECTOR_BYTES);
  }

  /** Fills `into`, whole sectors, from sector `first` on. All must exist. */
  read(first: number, into: Uint8Array): void {
    for (let at = 0; at < into.length; at += SECTOR_BYTES) {
      const sector = first + at / SECTOR_BYTES;
      const part =
        this.#written.get(sector) ?? this.#image.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES);
      into.set(part, at);
      into.fill(0, at + part.length, at + SECTOR_BYTES);
    }
  }

  write(first: number, data: Uint8Array): void {
    for (let at = 0; at < data.length; at += SECTOR_BYTES) {
      this.#written.set(first + at / SECTOR_BYTES, data.slice(at, at + SECTOR_BYTES));
    }
  }

  save(): number[] {
    const values: number[] = [];
    for (const [sector, data] of [...this.#written].sort(([a], [b]) => a - b)) {
      values.push(sector, ...new Uint32Array(data.buffer));
    }
    return values;
  }

  load(values: readonly number[]): void {
    this.#written.clear();
    for (let at = 0; at < values.length; at += 1 + SECTOR_WORDS) {
      const words = Uint32Array.from(values.slice(at + 1, at + 1 + SECTOR_WORDS));
      this.#written.set(values[at] as number, new Uint8Array(words.buffer));
    }
  }
}
