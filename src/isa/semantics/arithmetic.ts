/** Two-operand arithmetic, increments, multiplication and division (SDM volume 2). */
import type { Builder, Meaning } from './builder.ts';

/** a op b wrapped to the first operand's size, so that flags see a sign-extended result. */
function wrap<V>(b: Builder<V>, value: V): V {
  const size = b.size(0);
  return b.bind(size === 4 ? value : b.signExtend(value, size));
}

const add: Meaning = (b) => {
  const x = b.modify(0);
  const y = b.read(1);
  const r = wrap(b, b.add(x, y));
  b.write(0, r);
  b.flagsAdd(r, x, y);
};

const sub: Meaning = (b) => {
  const x = b.modify(0);
  const y = b.read(1);
  const r = wrap(b, b.sub(x, y));
  b.write(0, r);
  b.flagsSub(r, x, y);
};

const cmp: Meaning = (b) => {
  const x = b.read(0);
  const y = b.read(1);
  b.flagsSub(wrap(b, b.sub(x, y)), x, y);
};

const adc: Meaning = (b) => {
  const x = b.modify(0);
  const y = b.read(1);
  const r = wrap(b, b.add(b.add(x, y), b.carry()));
  b.write(0, r);
  b.flagsAdd(r, x, y);
};

const sbb: Meaning = (b) => {
  const x = b.modify(0);
  const y = b.read(1);
  const r = wrap(b, b.sub(b.sub(x, y), b.carry()));
  b.write(0, r);
  b.flagsSubBorrow(r, x, y);
};

function logic(operation: <V>(b: Builder<V>, x: V, y: V) => V): Meaning {
  return (b) => {
    const x = b.modify(0);
    const y = b.read(1);
    const r = b.bind(operation(b, x, y));
    b.write(0, r);
    b.flagsLogic(r);
  };
}
const and = logic((b, x, y) => b.and(x, y));
const or = logic((b, x, y) => b.or(x, y));
const xor = logic((b, x, y) => b.xor(x, y));

const test: Meaning = (b) => {
  const x = b.read(0);
  const y = b.read(1);
  b.flagsLogic(b.bind(b.and(x, y)));
};

const inc: Meaning = (b) => {
  const x = b.modify(0);
  const r = wrap(b, b.add(x, b.constant(1)));
  b.write(0, r);
  b.flagsIncrement(r, x);
};

const dec: Meaning = (b) => {
  const x = b.modify(0);
  const r = wrap(b, b.sub(x, b.constant(1)));
  b.write(0, r);
  b.flagsDecrement(r, x);
};

const not: Meaning = (b) => {
  const x = b.modify(0);
  b.write(0, b.not(x));
};

const neg: Meaning = (b) => {
  const x = b.modify(0);
  const zero = b.constant(0);
  const r = wrap(b, b.sub(zero, x));
  b.write(0, r);
  b.flagsSub(r, zero, x);
};

/** XADD: the destination gets the sum, the source the old destination; a register pair may coincide. */
const xadd: Meaning = (b) => {
  const x = b.modify(0);
  const y = b.read(1);
  const r = wrap(b, b.add(x, y));
  if (b.isMemory(0)) {
    b.write(0, r);
    b.write(1, x);
  } else {
    b.write(1, x);
    b.write(0, r);
  }
  b.flagsAdd(r, x, y);
};

/** The destination is written back even when the comparison fails (SDM 2A CMPXCHG), so it is always `modify`. */
const cmpxchg: Meaning = (b) => {
  const size = b.size(0);
  const x = b.modify(0);
  const y = b.read(1);
  const accumulator = b.bind(b.register(0, size));
  const r = wrap(b, b.sub(accumulator, x));
  const same = b.bind(b.equal(accumulator, x));
  b.write(0, b.select(same, y, x));
  b.when(
    same,
    () => {},
    () => b.setRegister(0, size, x),
  );
  b.flagsSub(r, accumulator, x);
};

const cmpxchg8b: Meaning = (b) => b.perform('compareExchange8', b.linear(8, true), b.table());

/** One-operand MUL / IMUL / DIV / IDIV work on AX, DX:AX or EDX:EAX: procedures by size. */
function accumulatorOperation(name: string): Meaning {
  return (b) => b.perform(`${name}${8 * b.size(0)}`, b.read(0));
}

/** Two- and three-operand IMUL: CF = OF = the product does not fit. */
function signedMultiply(left: number, right: number): Meaning {
  return (b) => {
    const r = b.bind(b.call(b.size(0) === 4 ? 'signedProduct32' : 'signedProduct16', b.read(left), b.read(right)));
    b.write(0, r);
  };
}

/** The BCD adjustments are rare enough to be procedures whole. */
function adjust(name: string): Meaning {
  return (b) => b.perform(name);
}

export const arithmetic: Readonly<Record<string, Meaning>> = {
  add,
  adc,
  sub,
  sbb,
  cmp,
  and,
  or,
  xor,
  test,
  inc,
  dec,
  not,
  neg,
  xadd,
  cmpxchg,
  cmpxchg8b,
  mul: accumulatorOperation('multiply'),
  imul1: accumulatorOperation('signedMultiply'),
  div: accumulatorOperation('divide'),
  idiv: accumulatorOperation('signedDivide'),
  imul2: signedMultiply(0, 1),
  imul3: signedMultiply(1, 2),
  daa: adjust('daa'),
  das: adjust('das'),
  aaa: adjust('aaa'),
  aas: adjust('aas'),
  aam: (b) => b.perform('aam', b.immediate()),
  aad: (b) => b.perform('aad', b.immediate()),
};
