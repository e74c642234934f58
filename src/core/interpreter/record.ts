/**
 * The predecoded form of code: `Int32Array` records that handlers index by `p`. A block is a header followed
 * by one record an instruction, and a final END record where no transfer ends it.
 */

/** Words of a block header. */
export const B_MACHINE = 0; // machine address of the first byte, -1 once invalidated
export const B_MODE = 1; // code mode it was decoded for
export const B_COST = 2; // static cycles of the whole block
export const B_COUNT = 3; // instructions
export const B_BYTES = 4; // bytes of code
export const B_FLAGS = 5; // LINKABLE, STRADDLES
export const B_NEXT_HASH = 6; // next block in the hash bucket, 0 at the end
export const B_NEXT_PAGE = 7; // next block of the same machine frame
export const B_LINK_EPOCH = 8; // code epoch the links were made in
export const B_LINK0_EIP = 9;
export const B_LINK0 = 10;
export const B_LINK1_EIP = 11;
export const B_LINK1 = 12;
export const B_SECOND_PAGE = 13; // machine page of the bytes beyond the page end, if STRADDLES
export const B_CLASS = 14; // retirement class
/** Times the block was seen running by the dispatcher's sampling. */
export const B_HEAT = 15;
export const HEADER_WORDS = 16;

/** The block ends in a near transfer or runs on: its successors may be linked. */
export const LINKABLE = 1;
/** Its single instruction crosses a page end; the second page is checked at each entry. */
export const STRADDLES = 2;

/** Its first record's handler runs the whole block. */
export const COMPILED = 4;

/** Words of a record. */
export const R_HANDLER = 0;
/** Bits 12:0 offset from the block's start, 19:13 instructions before it, 23:20 its length. */
export const R_INFO = 1;
/** Static cycles of the instructions before it. */
export const R_COST = 2;
/** ModRM reg (or opcode) register, prescaled for its operand size; raw number for control, debug and segment registers. */
export const R_REG = 3;
/** ModRM rm register, prescaled; raw number where a meaning asks for `rmField`. */
export const R_RM = 4;
/** State slots of base and index registers, shift of the index, displacement. */
export const R_BASE = 5;
export const R_INDEX = 6;
export const R_SCALE = 7;
export const R_DISP = 8;
/** Without a memory operand, R_DISP holds the next instruction's offset from the block's start. */
export const R_NEXT = 8;
/** Immediate; for direct branches the target's offset from the block's start. */
export const R_IMM = 9;
/** Fast table of the memory operand, or of the stack where there is none. */
export const R_TABLE = 10;
/** Second immediate, fast table of the stack (with a memory operand) or of ES (strings). */
export const R_AUX = 11;
export const RECORD_WORDS = 12;

export const INFO_OFFSET_MASK = 0x1fff;
export const INFO_INDEX_SHIFT = 13;
export const INFO_INDEX_MASK = 0x7f;
export const INFO_LENGTH_SHIFT = 20;

/** What a handler returns instead of the next record's index (which is positive). */
/** The block ended; EIP is set; the loop charges the whole block. */
export const END_BLOCK = 0;
/** A system instruction ended the block and what preceded it is charged; -1 - STOP_*. */
export const END_SYSTEM = -1;
/** The block ended early and is charged already (REP between chunks, code that modified itself). */
export const END_CHARGED = -100;
