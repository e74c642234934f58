/** Multiplication, division, bit scans and the BCD adjustments: instructions on fixed registers, by operand size. */
import { AF, CF, OF, PF, SF, ZF } from '../../isa/eflags.ts';
import type { Cpu } from '../cpu.ts';
import { arithmeticFlags, evenParity, setArithmeticFlags } from '../flags.ts';
import { BR, DE, raise, UD } from '../signals.ts';
import { EAX, EBX, ECX, EDX, FLAG_R, FLAG_X, FLAG_XOR, FLAG_Y } from '../state.ts';

/** High 32 bits of the unsigned product, from 16-bit halves so that doubles stay exact. */
export function highProduct(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle % 0x10000);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) | 0;
}

export function arithmeticProcedures(cpu: Cpu) {
  const S = cpu.memory.state;

  /** MUL and IMUL define CF = OF = "the high half matters"; the others follow the low half, as processors do. */
  function productFlags(low: number, overflow: boolean): void {
    S[FLAG_R] = low;
    S[FLAG_X] = low;
    S[FLAG_Y] = 0;
    S[FLAG_XOR] = overflow ? CF | OF : 0;
  }
  function setAx(value: number): void {
    S[EAX] = ((S[EAX] as number) & ~0xffff) | (value & 0xffff);
  }
  function setDx(value: number): void {
    S[EDX] = ((S[EDX] as number) & ~0xffff) | (value & 0xffff);
  }

  /**
   * Unsigned 64 / 32 by two steps of base 2^16, each exact in a double. Returns the quotient (which the caller has
   * made sure fits 32 bits) and leaves the remainder in `remainder`.
   */
  let remainder = 0;
  function divideLong(high: number, low: number, divisor: number): number {
    const first = high * 0x10000 + (low >>> 16);
    const upper = Math.floor(first / divisor);
    const second = (first - upper * divisor) * 0x10000 + (low & 0xffff);
    const lower = Math.floor(second / divisor);
    remainder = second - lower * divisor;
    return upper * 0x10000 + lower;
  }

  function adjustAscii(sign: 1 | -1): void {
    const flags = arithmeticFlags(S);
    let ax = (S[EAX] as number) & 0xffff;
    const adjust = (ax & 0xf) > 9 || (flags & AF) !== 0;
    if (adjust) ax = (ax + sign * 0x106) & 0xffff;
    setAx(ax & 0xff0f);
    setArithmeticFlags(S, (flags & ~(AF | CF)) | (adjust ? AF | CF : 0));
  }
  function signZeroParity(al: number): number {
    return (al === 0 ? ZF : 0) | (al & 0x80 ? SF : 0) | (evenParity(al) ? PF : 0);
  }
  function adjustDecimal(sign: 1 | -1): void {
    const flags = arithmeticFlags(S);
    const old = (S[EAX] as number) & 0xff;
    let al = old;
    let result = 0;
    if ((old & 0xf) > 9 || (flags & AF) !== 0) {
      al += 6 * sign;
      result |= AF;
      // A borrow or carry out of the low adjustment sets CF too (SDM 2A DAS).
      if (sign < 0 && old < 6) result |= CF;
    }
    if (old > 0x99 || (flags & CF) !== 0) {
      al += 0x60 * sign;
      result |= CF;
    }
    al &= 0xff;
    S[EAX] = ((S[EAX] as number) & ~0xff) | al;
    setArithmeticFlags(S, result | signZeroParity(al));
  }

  return {
    multiply8(operand: number): void {
      const product = ((S[EAX] as number) & 0xff) * (operand & 0xff);
      setAx(product);
      productFlags((product << 24) >> 24, product > 0xff);
    },
    multiply16(operand: number): void {
      const product = ((S[EAX] as number) & 0xffff) * (operand & 0xffff);
      setAx(product);
      setDx(product >>> 16);
      productFlags((product << 16) >> 16, product > 0xffff);
    },
    multiply32(operand: number): void {
      const a = S[EAX] as number;
      const low = Math.imul(a, operand);
      const high = highProduct(a, operand);
      S[EAX] = low;
      S[EDX] = high;
      productFlags(low, high !== 0);
    },
    signedMultiply8(operand: number): void {
      const product = (((S[EAX] as number) << 24) >> 24) * operand;
      setAx(product);
      productFlags((product << 24) >> 24, product !== (product << 24) >> 24);
    },
    signedMultiply16(operand: number): void {
      const product = (((S[EAX] as number) << 16) >> 16) * operand;
      setAx(product);
      setDx(product >> 16);
      productFlags((product << 16) >> 16, product !== (product << 16) >> 16);
    },
    signedMultiply32(operand: number): void {
      const a = S[EAX] as number;
      const low = Math.imul(a, operand);
      const high = (highProduct(a, operand) - (a < 0 ? operand : 0) - (operand < 0 ? a : 0)) | 0;
      S[EAX] = low;
      S[EDX] = high;
      productFlags(low, high !== low >> 31);
    },
    signedProduct16(a: number, b: number): number {
      const product = a * b;
      const low = (product << 16) >> 16;
      productFlags(low, product !== low);
      return low;
    },
    signedProduct32(a: number, b: number): number {
      const low = Math.imul(a, b);
      // A double product that rounds still differs from its low 32 bits whenever it does not fit.
      productFlags(low, a * b !== low);
      return low;
    },
    divide8(operand: number): void {
      const divisor = operand & 0xff;
      const dividend = (S[EAX] as number) & 0xffff;
      if (divisor === 0) raise(S, DE);
      const quotient = Math.floor(dividend / divisor);
      if (quotient > 0xff) raise(S, DE);
      setAx(((dividend % divisor) << 8) | quotient);
    },
    divide16(operand: number): void {
      const divisor = operand & 0xffff;
      const dividend = (((S[EDX] as number) << 16) | ((S[EAX] as number) & 0xffff)) >>> 0;
      if (divisor === 0) raise(S, DE);
      const quotient = Math.floor(dividend / divisor);
      if (quotient > 0xffff) raise(S, DE);
      setAx(quotient);
      setDx(dividend % divisor);
    },
    divide32(operand: number): void {
      const divisor = operand >>> 0;
      const high = (S[EDX] as number) >>> 0;
      const low = (S[EAX] as number) >>> 0;
      if (high >= divisor) raise(S, DE);
      if (high === 0) {
        S[EAX] = Math.floor(low / divisor);
        S[EDX] = low % divisor;
        return;
      }
      S[EAX] = divideLong(high, low, divisor);
      S[EDX] = remainder;
    },
    signedDivide8(operand: number): void {
      const dividend = ((S[EAX] as number) << 16) >> 16;
      if (operand === 0) raise(S, DE);
      const quotient = Math.trunc(dividend / operand);
      if (quotient !== (quotient << 24) >> 24) raise(S, DE);
      setAx(((dividend % operand) << 8) | (quotient & 0xff));
    },
    signedDivide16(operand: number): void {
      const dividend = ((S[EDX] as number) << 16) | ((S[EAX] as number) & 0xffff);
      if (operand === 0) raise(S, DE);
      const quotient = Math.trunc(dividend / operand);
      if (quotient !== (quotient << 16) >> 16) raise(S, DE);
      setAx(quotient);
      setDx(dividend % operand);
    },
    signedDivide32(operand: number): void {
      let high = S[EDX] as number;
      let low = S[EAX] as number;
      if (operand === 0) raise(S, DE);
      if (high === low >> 31) {
        // The dividend fits 32 bits; only INT_MIN / -1 overflows.
        if (low === -0x80000000 && operand === -1) raise(S, DE);
        S[EAX] = (low / operand) | 0;
        S[EDX] = low % operand;
        return;
      }
      const negative = high < 0;
      if (negative) {
        low = -low | 0;
        high = (~high + (low === 0 ? 1 : 0)) | 0;
      }
      const divisor = Math.abs(operand);
      if (high >>> 0 >= divisor) raise(S, DE);
      const magnitude = divideLong(high >>> 0, low >>> 0, divisor);
      const quotient = negative !== operand < 0 ? -magnitude : magnitude;
      if (quotient !== (quotient | 0)) raise(S, DE);
      S[EAX] = quotient;
      S[EDX] = negative ? -remainder : remainder;
    },

    byteSwap(value: number): number {
      return (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);
    },
    lowestBit(value: number): number {
      return 31 - Math.clz32(value & -value);
    },
    highestBit(value: number): number {
      return 31 - Math.clz32(value);
    },
    checkBounds(value: number, low: number, high: number): void {
      if (value < low || value > high) raise(S, BR);
    },
    invalidOpcode(): void {
      raise(S, UD);
    },

    daa: (): void => adjustDecimal(1),
    das: (): void => adjustDecimal(-1),
    aaa: (): void => adjustAscii(1),
    aas: (): void => adjustAscii(-1),
    aam(base: number): void {
      const divisor = base & 0xff;
      if (divisor === 0) raise(S, DE);
      const al = (S[EAX] as number) & 0xff;
      const low = al % divisor;
      setAx((Math.floor(al / divisor) << 8) | low);
      setArithmeticFlags(S, signZeroParity(low));
    },
    aad(base: number): void {
      const ax = (S[EAX] as number) & 0xffff;
      const al = ((ax & 0xff) + (ax >> 8) * (base & 0xff)) & 0xff;
      setAx(al);
      setArithmeticFlags(S, signZeroParity(al));
    },

    /** CMPXCHG8B: EDX:EAX against the quadword at `linear`, which is written either way. */
    compareExchange8(linear: number, table: number): void {
      const low = cpu.mmu.loadForUpdate32(linear, table);
      const high = cpu.mmu.loadForUpdate32((linear + 4) | 0, table);
      const equal = low === S[EAX] && high === S[EDX];
      cpu.mmu.storeUpdated32(linear, (equal ? S[EBX] : low) as number, table);
      cpu.mmu.storeUpdated32((linear + 4) | 0, (equal ? S[ECX] : high) as number, table);
      if (!equal) {
        S[EAX] = low;
        S[EDX] = high;
      }
      setArithmeticFlags(S, (arithmeticFlags(S) & ~ZF) | (equal ? ZF : 0));
    },
  };
}
