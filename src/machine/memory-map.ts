/** Borders of the PC's first megabyte, as every boot loader describes them to its kernel. All are guest-physical. */

/** End of base memory: the last KB below 640 KB is the extended BIOS data area. */
export const LOW_MEMORY_END = 0x9fc00;
/** The BIOS, up to 1 MB. */
export const BIOS_AREA = 0xf0000;
/** Extended memory starts here. */
export const HIGH_MEMORY = 0x100000;
