/** Seeded random numbers: xorshift32. What a case takes from its seed alone is mirrored in test/support/vectors.ts. */
export class Random {
  #state;

  constructor(seed) {
    this.#state = seed | 0 || 1;
  }

  next() {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }

  below(bound) {
    return Math.floor((this.next() / 0x1_0000_0000) * bound);
  }

  between(first, last) {
    return first + this.below(last - first + 1);
  }

  pick(values) {
    return values[this.below(values.length)];
  }

  chance(percent) {
    return this.below(100) < percent;
  }
}

const CORNERS = [0, 1, 2, -1, -2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000];

/** A register value: half of them where carries, signs and sizes meet. */
export function interestingValue(random) {
  const kind = random.below(4);
  if (kind === 0) return random.pick(CORNERS) >>> 0;
  if (kind === 1) return (random.pick(CORNERS) + random.between(-3, 3)) >>> 0;
  return random.next();
}

/** The seed of case `number` of a file; never 0. */
export function caseSeed(seed, number) {
  return (Math.imul(number + 1, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b)) >>> 0 || 1;
}

/** The eight registers that a case has unless it needs others. */
export function fillRegisters(seed) {
  const random = new Random(seed);
  return Array.from({ length: 8 }, () => interestingValue(random));
}

/** Fills the window from a seed: bytes of xorshift32 words, least significant first, every fourth word a corner. */
export function fillMemory(memory, seed) {
  const random = new Random(seed);
  for (let at = 0; at < memory.length; at += 4) {
    const word = random.next();
    const value = (word & 3) === 0 ? CORNERS[(word >>> 8) % CORNERS.length] : word;
    for (let i = 0; i < 4; i++) memory[at + i] = value >>> (8 * i);
  }
}
