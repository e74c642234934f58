/**
 * Lane operations on packed integers (SDM volume 2). Each has the name of its instruction and works on state slots: `d` the
 * destination and first operand, `s` the second, `words` 2 for MMX or 4 for XMM registers. None faults or allocates.
 *
 * What compilers use most works on whole words; bytes that saturate go through a clamped array.
 */
import type { MachineMemory } from '../memory.ts';

const LOW_BITS_8 = 0x7f7f7f7f;
const HIGH_BITS_8 = 0x80808080 | 0;
const LOW_BITS_16 = 0x7fff7fff;
const HIGH_BITS_16 = 0x80008000 | 0;

const clamp16 = (value: number): number => (value > 0x7fff ? 0x7fff : value < -0x8000 ? -0x8000 : value);
const clamp8 = (value: number): number => (value > 0x7f ? 0x7f : value < -0x80 ? -0x80 : value);
const clampU16 = (value: number): number => (value > 0xffff ? 0xffff : value < 0 ? 0 : value);

/** Ones in each byte of `x` that is zero, zeros in the others. */
function zeroBytes(x: number): number {
  // Bit 7 of each byte: set unless the byte is zero.
  const nonzero = (((x & LOW_BITS_8) + LOW_BITS_8) | x) & HIGH_BITS_8;
  const zero = ~nonzero & HIGH_BITS_8;
  return zero | (zero - (zero >>> 7)) | 0;
}
function zeroHalves(x: number): number {
  return ((x & 0xffff) === 0 ? 0xffff : 0) | (x >>> 16 === 0 ? 0xffff0000 : 0);
}
/** Bits 7, 15, 23, 31 of `x` as bits 0 to 3. */
function byteSigns(x: number): number {
  return (((x & HIGH_BITS_8) >>> 7) * 0x10204080) >>> 28;
}

export function integerProcedures(memory: MachineMemory) {
  const S = memory.state;
  const { buffer, byteOffset, length } = S;
  const bytes = new Uint8Array(buffer, byteOffset, 4 * length);
  const signedBytes = new Int8Array(buffer, byteOffset, 4 * length);
  const clampedBytes = new Uint8ClampedArray(buffer, byteOffset, 4 * length);
  const halves = new Uint16Array(buffer, byteOffset, 2 * length);
  const signedHalves = new Int16Array(buffer, byteOffset, 2 * length);

  /** Both operands, destination first, for operations whose result lanes overlap their operands. */
  const both = new Int32Array(8);
  const bothBytes = new Uint8Array(both.buffer);
  const bothHalves = new Uint16Array(both.buffer);
  const bothSignedHalves = new Int16Array(both.buffer);
  function take(d: number, s: number, words: number): void {
    for (let i = 0; i < words; i++) {
      both[i] = S[d + i];
      both[words + i] = S[s + i];
    }
  }

  /** Interleaves lanes from byte `first` of each operand. */
  function interleaveBytes(d: number, s: number, words: number, first: number): void {
    take(d, s, words);
    for (let i = 0; i < 2 * words; i++) {
      bytes[4 * d + 2 * i] = bothBytes[first + i];
      bytes[4 * d + 2 * i + 1] = bothBytes[4 * words + first + i];
    }
  }
  function interleaveHalves(d: number, s: number, words: number, first: number): void {
    take(d, s, words);
    for (let i = 0; i < words; i++) {
      halves[2 * d + 2 * i] = bothHalves[first + i];
      halves[2 * d + 2 * i + 1] = bothHalves[2 * words + first + i];
    }
  }
  function interleaveWords(d: number, s: number, words: number, first: number): void {
    take(d, s, words);
    for (let i = 0; i < words / 2; i++) {
      S[d + 2 * i] = both[first + i];
      S[d + 2 * i + 1] = both[words + first + i];
    }
  }
  function lowQuads(d: number, s: number): void {
    const low = S[s];
    S[d + 3] = S[s + 1];
    S[d + 2] = low;
  }
  function highQuads(d: number, s: number): void {
    S[d] = S[d + 2];
    S[d + 1] = S[d + 3];
    S[d + 2] = S[s + 2];
    S[d + 3] = S[s + 3];
  }

  /** The count of a shift by register: its low quadword, anything above 63 being as good as 64. */
  function count(s: number): number {
    const low = S[s];
    return S[s + 1] !== 0 || low >>> 0 > 63 ? 64 : low;
  }
  function shiftHalvesRight(d: number, by: number, words: number): void {
    const mask = by > 15 ? 0 : (0xffff >> by) * 0x10001;
    for (let i = 0; i < words; i++) S[d + i] = (S[d + i] >>> (by & 15)) & mask;
  }
  function shiftHalvesLeft(d: number, by: number, words: number): void {
    const mask = by > 15 ? 0 : ((0xffff << by) & 0xffff) * 0x10001;
    for (let i = 0; i < words; i++) S[d + i] = (S[d + i] << (by & 15)) & mask;
  }
  function shiftHalvesSigned(d: number, by: number, words: number): void {
    const shift = by > 15 ? 15 : by;
    for (let i = 0; i < 2 * words; i++) signedHalves[2 * d + i] = signedHalves[2 * d + i] >> shift;
  }
  function shiftWordsRight(d: number, by: number, words: number): void {
    for (let i = 0; i < words; i++) S[d + i] = by > 31 ? 0 : S[d + i] >>> by;
  }
  function shiftWordsLeft(d: number, by: number, words: number): void {
    for (let i = 0; i < words; i++) S[d + i] = by > 31 ? 0 : S[d + i] << by;
  }
  function shiftWordsSigned(d: number, by: number, words: number): void {
    const shift = by > 31 ? 31 : by;
    for (let i = 0; i < words; i++) S[d + i] >>= shift;
  }
  function shiftQuadsRight(d: number, by: number, words: number): void {
    for (let i = 0; i < words; i += 2) {
      const low = S[d + i];
      const high = S[d + i + 1];
      if (by > 31) {
        S[d + i] = by > 63 ? 0 : high >>> (by - 32);
        S[d + i + 1] = 0;
      } else if (by > 0) {
        S[d + i] = (low >>> by) | (high << (32 - by));
        S[d + i + 1] = high >>> by;
      }
    }
  }
  function shiftQuadsLeft(d: number, by: number, words: number): void {
    for (let i = 0; i < words; i += 2) {
      const low = S[d + i];
      const high = S[d + i + 1];
      if (by > 31) {
        S[d + i] = 0;
        S[d + i + 1] = by > 63 ? 0 : low << (by - 32);
      } else if (by > 0) {
        S[d + i] = low << by;
        S[d + i + 1] = (high << by) | (low >>> (32 - by));
      }
    }
  }

  /** High 32 bits of an unsigned product. */
  function multiplyHigh(a: number, b: number): number {
    const a0 = a & 0xffff;
    const a1 = a >>> 16;
    const b0 = b & 0xffff;
    const b1 = b >>> 16;
    const middle = a1 * b0 + ((a0 * b0) >>> 16);
    const low = a0 * b1 + (middle & 0xffff);
    return (a1 * b1 + Math.floor(middle / 0x10000) + Math.floor(low / 0x10000)) | 0;
  }

  function addBytes(d: number, s: number, words: number): void {
    for (let i = 0; i < words; i++) {
      const a = S[d + i];
      const b = S[s + i];
      S[d + i] = ((a & LOW_BITS_8) + (b & LOW_BITS_8)) ^ ((a ^ b) & HIGH_BITS_8);
    }
  }
  function subtractBytes(d: number, s: number, words: number): void {
    for (let i = 0; i < words; i++) {
      const a = S[d + i];
      const b = S[s + i];
      S[d + i] = ((a | HIGH_BITS_8) - (b & LOW_BITS_8)) ^ ((a ^ ~b) & HIGH_BITS_8);
    }
  }
  function addHalves(d: number, s: number, words: number): void {
    for (let i = 0; i < words; i++) {
      const a = S[d + i];
      const b = S[s + i];
      S[d + i] = ((a & LOW_BITS_16) + (b & LOW_BITS_16)) ^ ((a ^ b) & HIGH_BITS_16);
    }
  }
  function subtractHalves(d: number, s: number, words: number): void {
    for (let i = 0; i < words; i++) {
      const a = S[d + i];
      const b = S[s + i];
      S[d + i] = ((a | HIGH_BITS_16) - (b & LOW_BITS_16)) ^ ((a ^ ~b) & HIGH_BITS_16);
    }
  }

  return {
    paddb: addBytes,
    paddw: addHalves,
    paddq(d: number, s: number, words: number): void {
      for (let i = 0; i < words; i += 2) {
        const a = S[d + i];
        const sum = (a + S[s + i]) | 0;
        S[d + i + 1] = S[d + i + 1] + S[s + i + 1] + (sum >>> 0 < a >>> 0 ? 1 : 0);
        S[d + i] = sum;
      }
    },
    psubb: subtractBytes,
    psubw: subtractHalves,
    psubq(d: number, s: number, words: number): void {
      for (let i = 0; i < words; i += 2) {
        const a = S[d + i];
        const b = S[s + i];
        S[d + i + 1] = S[d + i + 1] - S[s + i + 1] - (a >>> 0 < b >>> 0 ? 1 : 0);
        S[d + i] = a - b;
      }
    },
    paddsb(d: number, s: number, words: number): void {
      for (let i = 0; i < 4 * words; i++) {
        signedBytes[4 * d + i] = clamp8(signedBytes[4 * d + i] + signedBytes[4 * s + i]);
      }
    },
    paddsw(d: number, s: number, words: number): void {
      for (let i = 0; i < 2 * words; i++) {
        signedHalves[2 * d + i] = clamp16(signedHalves[2 * d + i] + signedHalves[2 * s + i]);
      }
    },
    paddusb(d: number, s: number, words: number): void {
      for (let i = 0; i < 4 * words; i++) clampedBytes[4 * d + i] = bytes[4 * d + i] + bytes[4 * s + i];
    },
    paddusw(d: number, s: number, words: number): void {
      for (let i = 0; i < 2 * words; i++) halves[2 * d + i] = clampU16(halves[2 * d + i] + halves[2 * s + i]);
    },
    psubsb(d: number, s: number, words: number): void {
      for (let i = 0; i < 4 * words; i++) {
        signedBytes[4 * d + i] = clamp8(signedBytes[4 * d + i] - signedBytes[4 * s + i]);
      }
    },
    psubsw(d: number, s: number, words: number): void {
      for (let i = 0; i < 2 * words; i++) {
        signedHalves[2 * d + i] = clamp16(signedHalves[2 * d + i] - signedHalves[2 * s + i]);
      }
    },
    psubusb(d: number, s: number, words: number): void {
      for (let i = 0; i < 4 * words; i++) clampedBytes[4 * d + i] = bytes[4 * d + i] - bytes[4 * s + i];
    },
    psubusw(d: number, s: number, words: number): void {
      for (let i = 0; i < 2 * words; i++) halves[2 * d + i] = clampU16(halves[2 * d + i] - halves[2 * s + i]);
    },

    pcmpeqb(d: number, s: number, words: number): void {
      for (let i = 0; i < words; i++) S[d + i] = zeroBytes(S[d + i] ^ S[s + i]);
    },
    pcmpeqw(d: number, s: number, words: number): void {
      for (let i = 0; i < words; i++) S[d + i] = zeroHalves(S[d + i] ^ S[s + i]);
    },
    pcmpeqd(d: number, s: number, words: number): void {
      for (let i = 0; i < words; i++) S[d + i] = S[d + i] === S[s + i] ? -1 : 0;
    },
    pcmpgtb(d: number, s: number, words: number): void {
      for (let i = 0; i < 4 * words; i++) bytes[4 * d + i] = signedBytes[4 * d + i] > signedBytes[4 * s + i] ? 0xff : 0;
    },
    pcmpgtw(d: number, s: number, words: number): void {
      for (let i = 0; i < 2 * words; i++) {
        halves[2 * d + i] = signedHalves[2 * d + i] > signedHalves[2 * s + i] ? 0xffff : 0;
      }
    },
    pcmpgtd(d: number, s: number, words: number): void {
      for (let i = 0; i < words; i++) S[d + i] = S[d + i] > S[s + i] ? -1 : 0;
    },
    pminub(d: number, s: number, words: number): void {
      for (let i = 0; i < 4 * words; i++) {
        if (bytes[4 * s + i] < bytes[4 * d + i]) bytes[4 * d + i] = bytes[4 * s + i];
      }
    },
    pmaxub(d: number, s: number, words: number): void {
      for (let i = 0; i < 4 * words; i++) {
        if (bytes[4 * s + i] > bytes[4 * d + i]) bytes[4 * d + i] = bytes[4 * s + i];
      }
    },
    pminsw(d: number, s: number, words: number): void {
      for (let i = 0; i < 2 * words; i++) {
        if (signedHalves[2 * s + i] < signedHalves[2 * d + i]) halves[2 * d + i] = halves[2 * s + i];
      }
    },
    pmaxsw(d: number, s: number, words: number): void {
      for (let i = 0; i < 2 * words; i++) {
        if (signedHalves[2 * s + i] > signedHalves[2 * d + i]) halves[2 * d + i] = halves[2 * s + i];
      }
    },
    pavgb(d: number, s: number, words: number): void {
      for (let i = 0; i < 4 * words; i++) bytes[4 * d + i] = (bytes[4 * d + i] + bytes[4 * s + i] + 1) >> 1;
    },
    pavgw(d: number, s: number, words: number): void {
      for (let i = 0; i < 2 * words; i++) halves[2 * d + i] = (halves[2 * d + i] + halves[2 * s + i] + 1) >> 1;
    },
    /** Sums of absolute differences of the bytes of each quadword. */
    psadbw(d: number, s: number, words: number): void {
      for (let i = 0; i < words; i += 2) {
        let sum = 0;
        for (let j = 4 * i; j < 4 * i + 8; j++) sum += Math.abs(bytes[4 * d + j] - bytes[4 * s + j]);
        S[d + i] = sum;
        S[d + i + 1] = 0;
      }
    },

    pmullw(d: number, s: number, words: number): void {
      for (let i = 0; i < 2 * words; i++) halves[2 * d + i] = signedHalves[2 * d + i] * signedHalves[2 * s + i];
    },
    pmulhw(d: number, s: number, words: number): void {
      for (let i = 0; i < 2 * words; i++) halves[2 * d + i] = (signedHalves[2 * d + i] * signedHalves[2 * s + i]) >> 16;
    },
    pmulhuw(d: number, s: number, words: number): void {
      for (let i = 0; i < 2 * words; i++) halves[2 * d + i] = (halves[2 * d + i] * halves[2 * s + i]) >>> 16;
    },
    pmuludq(d: number, s: number, words: number): void {
      for (let i = 0; i < words; i += 2) {
        const a = S[d + i];
        const b = S[s + i];
        S[d + i] = Math.imul(a, b);
        S[d + i + 1] = multiplyHigh(a, b);
      }
    },
    pmaddwd(d: number, s: number, words: number): void {
      for (let i = 0; i < words; i++) {
        const at = 2 * (d + i);
        const from = 2 * (s + i);
        S[d + i] = signedHalves[at] * signedHalves[from] + signedHalves[at + 1] * signedHalves[from + 1];
      }
    },

    packsswb(d: number, s: number, words: number): void {
      take(d, s, words);
      for (let i = 0; i < 4 * words; i++) signedBytes[4 * d + i] = clamp8(bothSignedHalves[i]);
    },
    packuswb(d: number, s: number, words: number): void {
      take(d, s, words);
      for (let i = 0; i < 4 * words; i++) clampedBytes[4 * d + i] = bothSignedHalves[i];
    },
    packssdw(d: number, s: number, words: number): void {
      take(d, s, words);
      for (let i = 0; i < 2 * words; i++) signedHalves[2 * d + i] = clamp16(both[i]);
    },
    punpcklbw: (d: number, s: number, words: number): void => interleaveBytes(d, s, words, 0),
    punpckhbw: (d: number, s: number, words: number): void => interleaveBytes(d, s, words, 2 * words),
    punpcklwd: (d: number, s: number, words: number): void => interleaveHalves(d, s, words, 0),
    punpckhwd: (d: number, s: number, words: number): void => interleaveHalves(d, s, words, words),
    punpckldq: (d: number, s: number, words: number): void => interleaveWords(d, s, words, 0),
    punpckhdq: (d: number, s: number, words: number): void => interleaveWords(d, s, words, words / 2),
    punpcklqdq: lowQuads,
    punpckhqdq: highQuads,
    unpcklps: (d: number, s: number, words: number): void => interleaveWords(d, s, words, 0),
    unpckhps: (d: number, s: number, words: number): void => interleaveWords(d, s, words, words / 2),
    unpcklpd: lowQuads,
    unpckhpd: highQuads,

    psrlw: (d: number, s: number, words: number): void => shiftHalvesRight(d, count(s), words),
    psrld: (d: number, s: number, words: number): void => shiftWordsRight(d, count(s), words),
    psrlq: (d: number, s: number, words: number): void => shiftQuadsRight(d, count(s), words),
    psraw: (d: number, s: number, words: number): void => shiftHalvesSigned(d, count(s), words),
    psrad: (d: number, s: number, words: number): void => shiftWordsSigned(d, count(s), words),
    psllw: (d: number, s: number, words: number): void => shiftHalvesLeft(d, count(s), words),
    pslld: (d: number, s: number, words: number): void => shiftWordsLeft(d, count(s), words),
    psllq: (d: number, s: number, words: number): void => shiftQuadsLeft(d, count(s), words),
    psrlwBy: shiftHalvesRight,
    psrldBy: shiftWordsRight,
    psrlqBy: shiftQuadsRight,
    psrawBy: shiftHalvesSigned,
    psradBy: shiftWordsSigned,
    psllwBy: shiftHalvesLeft,
    pslldBy: shiftWordsLeft,
    psllqBy: shiftQuadsLeft,
    /** Shift a whole XMM register by bytes. */
    psrldqBy(d: number, by: number): void {
      const shift = Math.min(by, 16);
      bytes.copyWithin(4 * d, 4 * d + shift, 4 * d + 16);
      bytes.fill(0, 4 * d + 16 - shift, 4 * d + 16);
    },
    pslldqBy(d: number, by: number): void {
      const shift = Math.min(by, 16);
      bytes.copyWithin(4 * d + shift, 4 * d, 4 * d + 16 - shift);
      bytes.fill(0, 4 * d, 4 * d + shift);
    },

    pshufw(d: number, s: number, order: number, words: number): void {
      take(s, s, words);
      for (let i = 0; i < 4; i++) halves[2 * d + i] = bothHalves[(order >> (2 * i)) & 3];
    },
    pshufd(d: number, s: number, order: number): void {
      const a = S[s + (order & 3)];
      const b = S[s + ((order >> 2) & 3)];
      const c = S[s + ((order >> 4) & 3)];
      S[d + 3] = S[s + ((order >> 6) & 3)];
      S[d] = a;
      S[d + 1] = b;
      S[d + 2] = c;
    },
    pshuflw(d: number, s: number, order: number, words: number): void {
      take(s, s, words);
      for (let i = 0; i < 4; i++) halves[2 * d + i] = bothHalves[(order >> (2 * i)) & 3];
      S[d + 2] = both[2];
      S[d + 3] = both[3];
    },
    pshufhw(d: number, s: number, order: number, words: number): void {
      take(s, s, words);
      for (let i = 0; i < 4; i++) halves[2 * d + 4 + i] = bothHalves[4 + ((order >> (2 * i)) & 3)];
      S[d] = both[0];
      S[d + 1] = both[1];
    },
    shufps(d: number, s: number, order: number, words: number): void {
      take(d, s, words);
      S[d] = both[order & 3];
      S[d + 1] = both[(order >> 2) & 3];
      S[d + 2] = both[4 + ((order >> 4) & 3)];
      S[d + 3] = both[4 + ((order >> 6) & 3)];
    },
    shufpd(d: number, s: number, order: number, words: number): void {
      take(d, s, words);
      const first = 2 * (order & 1);
      const second = 4 + (order & 2);
      S[d] = both[first];
      S[d + 1] = both[first + 1];
      S[d + 2] = both[second];
      S[d + 3] = both[second + 1];
    },

    pinsrw(d: number, value: number, lane: number, words: number): void {
      halves[2 * d + (lane & (2 * words - 1))] = value;
    },
    pextrw: (s: number, lane: number, words: number): number => halves[2 * s + (lane & (2 * words - 1))],
    pmovmskb(s: number, words: number): number {
      let mask = 0;
      for (let i = 0; i < words; i++) mask |= byteSigns(S[s + i]) << (4 * i);
      return mask;
    },
    movmskps: (s: number): number =>
      (S[s] >>> 31) | ((S[s + 1] >>> 31) << 1) | ((S[s + 2] >>> 31) << 2) | ((S[s + 3] >>> 31) << 3),
    movmskpd: (s: number): number => (S[s + 1] >>> 31) | ((S[s + 3] >>> 31) << 1),
  };
}
