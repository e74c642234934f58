/**
 * MMX, SSE, SSE2. What an operation does to lanes is a procedure (core/simd), given the state slots of its registers; what is
 * said here is the order of things: #UD, #NM and a pending #MF, then memory, which may fault, then floating-point
 * exceptions, then state. Moves and bitwise operations are spelled out word by word.
 */
import type { Builder, Meaning } from './builder.ts';

const MMX_WORDS = 2;
const XMM_WORDS = 4;

/** An instruction on XMM registers only. */
function sse<V>(b: Builder<V>): void {
  b.requireSse();
}
/** An instruction on MMX registers only: it exists with MMX, whatever CR4.OSFXSR. */
function mmx<V>(b: Builder<V>): void {
  b.requireMmx();
}
/** Whichever operand `index` needs; returns its width in words. */
function ready<V>(b: Builder<V>, index: number): number {
  const words = b.vectorWords(index);
  if (words === MMX_WORDS) mmx(b);
  else sse(b);
  return words;
}
/** What an MMX instruction does to the x87 state: all tags valid, TOP 0 (SDM volume 1, 9.5.1). */
function useMmx<V>(b: Builder<V>): void {
  b.apply('mmxUse');
}
/** The same, where register `slot` is written: its exponent becomes ones. */
function writeMmx<V>(b: Builder<V>, slot: V): void {
  b.apply('mmxWrite', slot);
}

/** State slot of operand `index`'s value: the register, or where a memory operand of `bytes` bytes has been put. */
function source<V>(b: Builder<V>, index: number, bytes: number): V {
  if (!b.isMemory(index)) return b.vector(index);
  return b.bind(b.call(`simdOperand${bytes}`, b.operandLinear(bytes, false), b.operandTable()));
}
/** Bytes of a whole register. */
const widthOf = (words: number): number => 4 * words;

/** Copies words of one slot to another. */
function copy<V>(b: Builder<V>, to: V, toWord: number, from: V, fromWord: number, count: number): void {
  const words = Array.from({ length: count }, (_, i) => b.bind(b.word(from, fromWord + i)));
  words.forEach((word, i) => {
    b.setWord(to, toWord + i, word);
  });
}
function clear<V>(b: Builder<V>, to: V, word: number, count: number): void {
  for (let i = 0; i < count; i++) b.setWord(to, word + i, b.constant(0));
}

/** A lane operation: destination and source registers (or memory), and the width. */
function packed(procedure: string, sourceBytes?: number): Meaning {
  return (b) => {
    const words = ready(b, 0);
    const s = source(b, 1, words === MMX_WORDS ? (sourceBytes ?? widthOf(words)) : widthOf(words));
    const d = b.vector(0);
    if (words === MMX_WORDS) writeMmx(b, d);
    b.apply(procedure, d, s, b.constant(words));
  };
}
/** The same with the immediate in front of the width. */
function packedImmediate(procedure: string): Meaning {
  return (b) => {
    const words = ready(b, 0);
    const s = source(b, 1, widthOf(words));
    const d = b.vector(0);
    if (words === MMX_WORDS) writeMmx(b, d);
    b.apply(procedure, d, s, b.immediate(), b.constant(words));
  };
}
/** A lane operation that is a word operation. */
function wordwise(operation: <V>(b: Builder<V>, x: V, y: V) => V): Meaning {
  return (b) => {
    const words = ready(b, 0);
    const s = source(b, 1, widthOf(words));
    const d = b.vector(0);
    if (words === MMX_WORDS) writeMmx(b, d);
    for (let i = 0; i < words; i++) b.setWord(d, i, operation(b, b.word(d, i), b.word(s, i)));
  };
}
function shiftImmediate(procedure: string): Meaning {
  return (b) => {
    const words = ready(b, 0);
    const d = b.vector(0);
    if (words === MMX_WORDS) writeMmx(b, d);
    b.apply(`${procedure}By`, d, b.immediate(), b.constant(words));
  };
}

/** A store of `bytes` bytes from word `word` of a register. */
function storeBytes<V>(b: Builder<V>, bytes: number, slot: V, word = 0): void {
  const from = word === 0 ? slot : b.add(slot, b.constant(word));
  b.perform(`simdStore${bytes}`, from, b.operandLinear(bytes, true), b.operandTable());
}
/** A load of `bytes` bytes to word `word` of a register. */
function loadBytes<V>(b: Builder<V>, bytes: number, slot: V, word = 0): void {
  const to = word === 0 ? slot : b.add(slot, b.constant(word));
  b.perform(`simdLoad${bytes}`, to, b.operandLinear(bytes, false), b.operandTable());
}

function moveLoad(aligned: boolean): Meaning {
  return (b) => {
    sse(b);
    const d = b.vector(0);
    if (!b.isMemory(1)) copy(b, d, 0, b.vector(1), 0, XMM_WORDS);
    else if (aligned) b.perform('simdLoadAligned', d, b.operandLinear(16, false), b.operandTable());
    else loadBytes(b, 16, d);
  };
}
function moveStore(aligned: boolean): Meaning {
  return (b) => {
    sse(b);
    const s = b.vector(1);
    if (!b.isMemory(0)) copy(b, b.vector(0), 0, s, 0, XMM_WORDS);
    else if (aligned) b.perform('simdStoreAligned', s, b.operandLinear(16, true), b.operandTable());
    else storeBytes(b, 16, s);
  };
}
const movqLoad: Meaning = (b) => {
  const words = ready(b, 0);
  const d = b.vector(0);
  if (b.isMemory(1)) {
    loadBytes(b, 8, d);
    if (words === MMX_WORDS) writeMmx(b, d);
  } else {
    const s = b.vector(1);
    if (words === MMX_WORDS) writeMmx(b, d);
    copy(b, d, 0, s, 0, 2);
  }
  if (words === XMM_WORDS) clear(b, d, 2, 2);
};
const movqStore: Meaning = (b) => {
  const words = ready(b, 1);
  const s = b.vector(1);
  if (b.isMemory(0)) {
    storeBytes(b, 8, s);
    if (words === MMX_WORDS) useMmx(b);
    return;
  }
  const d = b.vector(0);
  if (words === MMX_WORDS) writeMmx(b, d);
  copy(b, d, 0, s, 0, 2);
  if (words === XMM_WORDS) clear(b, d, 2, 2);
};
const movdToVector: Meaning = (b) => {
  const words = ready(b, 0);
  const value = b.read(1);
  const d = b.vector(0);
  if (words === MMX_WORDS) writeMmx(b, d);
  b.setWord(d, 0, value);
  clear(b, d, 1, words - 1);
};
const movdFromVector: Meaning = (b) => {
  const words = ready(b, 1);
  b.write(0, b.bind(b.word(b.vector(1), 0)));
  if (words === MMX_WORDS) useMmx(b);
};
/** A scalar from memory clears the rest of the register, one from a register leaves it (SDM volume 2, MOVSS). */
function scalarLoad(words: 1 | 2): Meaning {
  return (b) => {
    sse(b);
    const d = b.vector(0);
    if (!b.isMemory(1)) {
      copy(b, d, 0, b.vector(1), 0, words);
      return;
    }
    if (words === 1) b.setWord(d, 0, b.read(1));
    else loadBytes(b, 8, d);
    clear(b, d, words, XMM_WORDS - words);
  };
}
function scalarStore(words: 1 | 2): Meaning {
  return (b) => {
    sse(b);
    const s = b.vector(1);
    if (!b.isMemory(0)) copy(b, b.vector(0), 0, s, 0, words);
    else if (words === 1) b.write(0, b.word(s, 0), 4);
    else storeBytes(b, 8, s);
  };
}
function halfLoad(word: number): Meaning {
  return (b) => {
    sse(b);
    loadBytes(b, 8, b.vector(0), word);
  };
}
function halfStore(word: number): Meaning {
  return (b) => {
    sse(b);
    storeBytes(b, 8, b.vector(1), word);
  };
}
function halfMove(to: number, from: number): Meaning {
  return (b) => {
    sse(b);
    copy(b, b.vector(0), to, b.vector(1), from, 2);
  };
}

/** Every other word of the source, twice. */
function duplicate(word: number): Meaning {
  return (b) => {
    sse(b);
    const s = source(b, 1, 16);
    const d = b.vector(0);
    for (const pair of [0, 2]) {
      const value = b.bind(b.word(s, pair + word));
      b.setWord(d, pair, value);
      b.setWord(d, pair + 1, value);
    }
  };
}

/** A procedure whose value goes to a general register. */
function extract(procedure: string): Meaning {
  return (b) => {
    const words = ready(b, 1);
    const s = b.vector(1);
    if (words === MMX_WORDS) useMmx(b);
    b.write(0, b.call(procedure, s, b.constant(words)), 4);
  };
}
const pextrw: Meaning = (b) => {
  const words = ready(b, 1);
  const s = b.vector(1);
  if (words === MMX_WORDS) useMmx(b);
  b.write(0, b.call('pextrw', s, b.immediate(), b.constant(words)), 4);
};
const pinsrw: Meaning = (b) => {
  const words = ready(b, 0);
  const value = b.bind(b.read(1));
  const d = b.vector(0);
  if (words === MMX_WORDS) writeMmx(b, d);
  b.apply('pinsrw', d, value, b.immediate(), b.constant(words));
};
/** The memory operand is DS:(E)DI, whose bytes the mask selects. A page fault does not undo the change to MMX. */
const maskMove: Meaning = (b) => {
  const words = ready(b, 0);
  const linear = b.operandLinear(widthOf(words), true);
  if (words === MMX_WORDS) useMmx(b);
  b.perform('maskMove', b.vector(0), b.vector(1), b.constant(words), linear, b.operandTable());
};

/** Lanes of a floating-point operand by its bytes: 16 packed, 4 or 8 scalar. */
function float(procedure: string, double: boolean, isPacked: boolean, ...before: readonly number[]): Meaning {
  const bytes = isPacked ? 16 : double ? 8 : 4;
  const lanes = isPacked ? (double ? 2 : 4) : 1;
  return (b) => {
    sse(b);
    const s = source(b, 1, bytes);
    b.perform(procedure, ...before.map((value) => b.constant(value)), b.vector(0), s, b.constant(lanes));
  };
}
function floatForms(name: string, procedure: string, ...before: readonly number[]): Record<string, Meaning> {
  return {
    [`${name}ps`]: float(`${procedure}Single`, false, true, ...before),
    [`${name}pd`]: float(`${procedure}Double`, true, true, ...before),
    [`${name}ss`]: float(`${procedure}Single`, false, false, ...before),
    [`${name}sd`]: float(`${procedure}Double`, true, false, ...before),
  };
}
function compareLanes(double: boolean, isPacked: boolean): Meaning {
  const bytes = isPacked ? 16 : double ? 8 : 4;
  const lanes = isPacked ? (double ? 2 : 4) : 1;
  return (b) => {
    sse(b);
    const s = source(b, 1, bytes);
    const procedure = double ? 'simdCompareDouble' : 'simdCompareSingle';
    b.perform(procedure, b.immediate(), b.vector(0), s, b.constant(lanes));
  };
}
function compareFlags(double: boolean, quiet: number): Meaning {
  return (b) => {
    sse(b);
    const s = source(b, 1, double ? 8 : 4);
    b.perform(double ? 'simdOrderDouble' : 'simdOrderSingle', b.constant(quiet), b.vector(0), s);
  };
}
/** Two operands of sixteen bytes and an operation's number. */
function pairs(procedure: string, ...before: readonly number[]): Meaning {
  return (b) => {
    sse(b);
    const s = source(b, 1, 16);
    b.perform(procedure, ...before.map((value) => b.constant(value)), b.vector(0), s);
  };
}
/** A conversion between XMM registers of a source of `bytes` bytes. */
function convert(procedure: string, bytes: number, ...rest: readonly number[]): Meaning {
  return (b) => {
    sse(b);
    const s = source(b, 1, bytes);
    b.perform(procedure, b.vector(0), s, ...rest.map((value) => b.constant(value)));
  };
}
/** From a general register or doubleword. */
function convertInteger(procedure: string): Meaning {
  return (b) => {
    sse(b);
    b.perform(procedure, b.vector(0), b.bind(b.read(1)));
  };
}
/** To a general register. */
function convertToInteger(procedure: string, bytes: number, truncate: number): Meaning {
  return (b) => {
    sse(b);
    const s = source(b, 1, bytes);
    b.write(0, b.bind(b.call(procedure, s, b.constant(truncate))), 4);
  };
}
/**
 * From an MMX register, which makes MMX of the x87 state. From memory it is left alone: SDM volume 2 says so of CVTPI2PD only,
 * but processors do the same for CVTPI2PS.
 */
function convertFromMmx(procedure: string): Meaning {
  return (b) => {
    const uses = !b.isMemory(1);
    sse(b);
    if (uses) mmx(b);
    const s = source(b, 1, 8);
    if (uses) useMmx(b);
    b.perform(procedure, b.vector(0), s);
  };
}
/** To an MMX register. Processors turn to MMX before the conversion, whose exception does not undo it. */
function convertToMmx(procedure: string, bytes: number, truncate: number): Meaning {
  return (b) => {
    sse(b);
    mmx(b);
    const s = source(b, 1, bytes);
    const d = b.vector(0);
    useMmx(b);
    b.perform(procedure, d, s, b.constant(truncate));
    writeMmx(b, d);
  };
}

/** Lane operations that have the name of their procedure. */
const PACKED =
  'packsswb packuswb packssdw pcmpgtb pcmpgtw pcmpgtd pcmpeqb pcmpeqw pcmpeqd punpckhbw punpckhwd punpckhdq punpckhqdq ' +
  'punpcklqdq psrlw psrld psrlq psraw psrad psllw pslld psllq paddb paddw paddq paddsb paddsw paddusb paddusw ' +
  'psubb psubw psubq psubsb psubsw psubusb psubusw pminub pminsw pmaxub pmaxsw pavgb pavgw pmullw pmulhw pmulhuw ' +
  'pmuludq pmaddwd psadbw unpcklps unpcklpd unpckhps unpckhpd';
const SHIFTS = ['psrlw', 'psrld', 'psrlq', 'psraw', 'psrad', 'psllw', 'pslld', 'psllq'];
/** Numbers of the arithmetic operations (core/simd/arithmetic.ts). */
const ARITHMETIC = { add: 0, sub: 1, mul: 2, div: 3, sqrt: 4, min: 5, max: 6 } as const;

export const simd: Readonly<Record<string, Meaning>> = {
  ...Object.fromEntries(PACKED.split(' ').map((name) => [name, packed(name)])),
  // The MMX forms read the low half of the source only.
  punpcklbw: packed('punpcklbw', 4),
  punpcklwd: packed('punpcklwd', 4),
  punpckldq: packed('punpckldq', 4),
  ...Object.fromEntries(SHIFTS.map((name) => [`${name}Immediate`, shiftImmediate(name)])),
  psrldq: shiftImmediate('psrldq'),
  pslldq: shiftImmediate('pslldq'),
  paddd: wordwise((b, x, y) => b.add(x, y)),
  psubd: wordwise((b, x, y) => b.sub(x, y)),
  pand: wordwise((b, x, y) => b.and(x, y)),
  pandn: wordwise((b, x, y) => b.and(b.not(x), y)),
  por: wordwise((b, x, y) => b.or(x, y)),
  pxor: wordwise((b, x, y) => b.xor(x, y)),
  pshufw: packedImmediate('pshufw'),
  pshufd: packedImmediate('pshufd'),
  pshufhw: packedImmediate('pshufhw'),
  pshuflw: packedImmediate('pshuflw'),
  shufps: packedImmediate('shufps'),
  shufpd: packedImmediate('shufpd'),
  moveAlignedLoad: moveLoad(true),
  moveAlignedStore: moveStore(true),
  moveUnalignedLoad: moveLoad(false),
  moveUnalignedStore: moveStore(false),
  movqLoad,
  movqStore,
  movdToVector,
  movdFromVector,
  movssLoad: scalarLoad(1),
  movssStore: scalarStore(1),
  movsdLoad: scalarLoad(2),
  movsdStore: scalarStore(2),
  moveLowLoad: halfLoad(0),
  moveLowStore: halfStore(0),
  moveHighLoad: halfLoad(2),
  moveHighStore: halfStore(2),
  movhlps: halfMove(0, 2),
  movlhps: halfMove(2, 0),
  movq2dq: (b) => {
    sse(b);
    mmx(b);
    const d = b.vector(0);
    copy(b, d, 0, b.vector(1), 0, 2);
    clear(b, d, 2, 2);
    useMmx(b);
  },
  movdq2q: (b) => {
    sse(b);
    mmx(b);
    const d = b.vector(0);
    writeMmx(b, d);
    copy(b, d, 0, b.vector(1), 0, 2);
  },
  movnti: (b) => b.write(0, b.read(1)),
  maskMove,
  pinsrw,
  pextrw,
  pmovmskb: extract('pmovmskb'),
  movmskps: extract('movmskps'),
  movmskpd: extract('movmskpd'),
  emms: (b) => {
    mmx(b);
    b.apply('emms');
  },

  ...Object.assign(
    {},
    ...Object.entries(ARITHMETIC).map(([name, number]) => floatForms(name, 'simdArithmetic', number)),
  ),
  haddps: pairs('simdHorizontalSingle', ARITHMETIC.add),
  haddpd: pairs('simdHorizontalDouble', ARITHMETIC.add),
  hsubps: pairs('simdHorizontalSingle', ARITHMETIC.sub),
  hsubpd: pairs('simdHorizontalDouble', ARITHMETIC.sub),
  addsubps: pairs('addsubps'),
  addsubpd: pairs('addsubpd'),
  movddup: (b) => {
    sse(b);
    const s = source(b, 1, 8);
    const d = b.vector(0);
    copy(b, d, 0, s, 0, 2);
    copy(b, d, 2, d, 0, 2);
  },
  movsldup: duplicate(0),
  movshdup: duplicate(1),
  rcpps: float('simdReciprocal', false, true),
  rcpss: float('simdReciprocal', false, false),
  rsqrtps: float('simdReciprocalRoot', false, true),
  rsqrtss: float('simdReciprocalRoot', false, false),
  cmpps: compareLanes(false, true),
  cmppd: compareLanes(true, true),
  cmpss: compareLanes(false, false),
  cmpsd: compareLanes(true, false),
  ucomiss: compareFlags(false, 1),
  ucomisd: compareFlags(true, 1),
  comiss: compareFlags(false, 0),
  comisd: compareFlags(true, 0),

  cvtpi2ps: convertFromMmx('cvtpi2ps'),
  cvtpi2pd: convertFromMmx('cvtpi2pd'),
  cvtsi2ss: convertInteger('cvtsi2ss'),
  cvtsi2sd: convertInteger('cvtsi2sd'),
  cvtss2si: convertToInteger('simdIntegerOfSingle', 4, 0),
  cvttss2si: convertToInteger('simdIntegerOfSingle', 4, 1),
  cvtsd2si: convertToInteger('simdIntegerOfDouble', 8, 0),
  cvttsd2si: convertToInteger('simdIntegerOfDouble', 8, 1),
  cvtps2pi: convertToMmx('simdIntegersOfSingles2', 8, 0),
  cvttps2pi: convertToMmx('simdIntegersOfSingles2', 8, 1),
  cvtpd2pi: convertToMmx('simdIntegersOfDoubles', 16, 0),
  cvttpd2pi: convertToMmx('simdIntegersOfDoubles', 16, 1),
  cvtps2dq: convert('simdIntegersOfSingles4', 16, 0),
  cvttps2dq: convert('simdIntegersOfSingles4', 16, 1),
  cvtpd2dq: convert('cvtpd2dq', 16, 0),
  cvttpd2dq: convert('cvtpd2dq', 16, 1),
  cvtps2pd: convert('simdDoublesOfSingles', 8, 2),
  cvtss2sd: convert('simdDoublesOfSingles', 4, 1),
  cvtpd2ps: convert('cvtpd2ps', 16),
  cvtsd2ss: convert('cvtsd2ss', 8),
  cvtdq2ps: convert('cvtdq2ps', 16),
  cvtdq2pd: convert('cvtdq2pd', 8),

  ldmxcsr: (b) => {
    sse(b);
    b.perform('loadMxcsr', b.read(0));
  },
  stmxcsr: (b) => {
    sse(b);
    b.write(0, b.call('mxcsr'));
  },
};
