/** Builds a firmware table: little-endian fields one after the other, and a checksum that makes all bytes add up to zero. */
export class TableBytes {
  readonly #bytes: number[] = [];

  get length(): number {
    return this.#bytes.length;
  }

  u8(...values: readonly number[]): this {
    for (const value of values) this.#bytes.push(value & 0xff);
    return this;
  }
  u16(value: number): this {
    return this.u8(value, value >>> 8);
  }
  u32(value: number): this {
    return this.u16(value & 0xffff).u16(value >>> 16);
  }
  /** A number below 2^32 as a 64-bit field. */
  u64(value: number): this {
    return this.u32(value).u32(0);
  }
  /** ASCII, padded with spaces to `length`. */
  text(text: string, length: number): this {
    for (let at = 0; at < length; at++) this.u8(at < text.length ? text.charCodeAt(at) : 0x20);
    return this;
  }
  bytes(bytes: Iterable<number>): this {
    return this.u8(...bytes);
  }
  zeros(count: number): this {
    for (let at = 0; at < count; at++) this.u8(0);
    return this;
  }

  toBytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  /** The table, with the checksum of its bytes put at offset `checksumAt`, where a zero stands. */
  finish(checksumAt: number): Uint8Array {
    const table = this.toBytes();
    let sum = 0;
    for (const byte of table) sum += byte;
    table[checksumAt] = -sum & 0xff;
    return table;
  }
}
