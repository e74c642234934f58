/** MXCSR (SDM volume 1, 10.2.3): flags in bits 5:0, their masks in bits 12:7. */
export const IE = 1;
export const DE = 2;
export const ZE = 4;
export const OE = 8;
export const UE = 0x10;
export const PE = 0x20;
export const FLAGS = 0x3f;
/** Denormal operands count as zeros. */
export const DAZ = 0x40;
export const MASK_SHIFT = 7;
export const OVERFLOW_MASK: number = OE << MASK_SHIFT;
export const UNDERFLOW_MASK: number = UE << MASK_SHIFT;
export const PRECISION_MASK: number = PE << MASK_SHIFT;
export const ROUNDING_SHIFT = 13;
/** Tiny results become zeros, if underflow is masked. */
export const FTZ = 0x8000;
/** Bits that exist; LDMXCSR and FXRSTOR refuse the others with #GP(0). */
export const MXCSR_BITS = 0xffff;

/** Rounding modes, bits 14:13. */
export const NEAREST = 0;
export const DOWN = 1;
export const UP = 2;
export const CHOP = 3;
/** Exceptions that are found before an operation: unmasked ones leave its own result and flags undetermined. */
export const BEFORE: number = IE | DE | ZE;
