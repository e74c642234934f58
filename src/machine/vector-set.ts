/** A set of the 256 interrupt vectors with a register's layout: eight words of 32 (the local APIC's ISR, TMR and IRR). */
export class VectorSet {
  /** Word `n` holds vectors 32 n .. 32 n + 31. */
  readonly words: Int32Array = new Int32Array(8);

  has(vector: number): boolean {
    return (((this.words[vector >>> 5] as number) >>> (vector & 31)) & 1) !== 0;
  }

  add(vector: number): void {
    this.words[vector >>> 5] = (this.words[vector >>> 5] as number) | (1 << (vector & 31));
  }

  remove(vector: number): void {
    this.words[vector >>> 5] = (this.words[vector >>> 5] as number) & ~(1 << (vector & 31));
  }

  /** The highest vector in the set, or -1. */
  highest(): number {
    for (let word = 7; word >= 0; word--) {
      const bits = this.words[word] as number;
      if (bits !== 0) return 32 * word + 31 - Math.clz32(bits);
    }
    return -1;
  }
}
