/**
 * The VMCS fields and their encodings (SDM 3D appendix B). An encoding says all about its field: bit 0 high half of a
 * 64-bit field, bits 9:1 index, 11:10 type, 14:13 width. Natural-width fields are 32 bits wide: the modelled parts have
 * long mode masked.
 */
export const FIELD = {
  // 16-bit control, guest, host.
  vpid: 0x0000,
  guestEsSelector: 0x0800,
  guestCsSelector: 0x0802,
  guestSsSelector: 0x0804,
  guestDsSelector: 0x0806,
  guestFsSelector: 0x0808,
  guestGsSelector: 0x080a,
  guestLdtrSelector: 0x080c,
  guestTrSelector: 0x080e,
  hostEsSelector: 0x0c00,
  hostCsSelector: 0x0c02,
  hostSsSelector: 0x0c04,
  hostDsSelector: 0x0c06,
  hostFsSelector: 0x0c08,
  hostGsSelector: 0x0c0a,
  hostTrSelector: 0x0c0c,
  // 64-bit.
  ioBitmapA: 0x2000,
  ioBitmapB: 0x2002,
  msrBitmap: 0x2004,
  exitMsrStoreAddress: 0x2006,
  exitMsrLoadAddress: 0x2008,
  entryMsrLoadAddress: 0x200a,
  executiveVmcs: 0x200c,
  tscOffset: 0x2010,
  eptPointer: 0x201a,
  guestPhysicalAddress: 0x2400,
  vmcsLinkPointer: 0x2800,
  guestDebugctl: 0x2802,
  guestEfer: 0x2806,
  guestPdpte0: 0x280a,
  guestPdpte1: 0x280c,
  guestPdpte2: 0x280e,
  guestPdpte3: 0x2810,
  hostEfer: 0x2c02,
  // 32-bit controls.
  pinControls: 0x4000,
  procControls: 0x4002,
  exceptionBitmap: 0x4004,
  pageFaultMask: 0x4006,
  pageFaultMatch: 0x4008,
  cr3TargetCount: 0x400a,
  exitControls: 0x400c,
  exitMsrStoreCount: 0x400e,
  exitMsrLoadCount: 0x4010,
  entryControls: 0x4012,
  entryMsrLoadCount: 0x4014,
  entryInterruptionInfo: 0x4016,
  entryErrorCode: 0x4018,
  entryInstructionLength: 0x401a,
  procControls2: 0x401e,
  // 32-bit exit information.
  instructionError: 0x4400,
  exitReason: 0x4402,
  exitInterruptionInfo: 0x4404,
  exitInterruptionError: 0x4406,
  idtVectoringInfo: 0x4408,
  idtVectoringError: 0x440a,
  exitInstructionLength: 0x440c,
  exitInstructionInfo: 0x440e,
  // 32-bit guest.
  guestEsLimit: 0x4800,
  guestCsLimit: 0x4802,
  guestSsLimit: 0x4804,
  guestDsLimit: 0x4806,
  guestFsLimit: 0x4808,
  guestGsLimit: 0x480a,
  guestLdtrLimit: 0x480c,
  guestTrLimit: 0x480e,
  guestGdtrLimit: 0x4810,
  guestIdtrLimit: 0x4812,
  guestEsRights: 0x4814,
  guestCsRights: 0x4816,
  guestSsRights: 0x4818,
  guestDsRights: 0x481a,
  guestFsRights: 0x481c,
  guestGsRights: 0x481e,
  guestLdtrRights: 0x4820,
  guestTrRights: 0x4822,
  guestInterruptibility: 0x4824,
  guestActivity: 0x4826,
  guestSmbase: 0x4828,
  guestSysenterCs: 0x482a,
  hostSysenterCs: 0x4c00,
  // Natural-width controls.
  cr0Mask: 0x6000,
  cr4Mask: 0x6002,
  cr0Shadow: 0x6004,
  cr4Shadow: 0x6006,
  cr3Target0: 0x6008,
  cr3Target1: 0x600a,
  cr3Target2: 0x600c,
  cr3Target3: 0x600e,
  // Natural-width exit information.
  exitQualification: 0x6400,
  ioRcx: 0x6402,
  ioRsi: 0x6404,
  ioRdi: 0x6406,
  ioRip: 0x6408,
  guestLinearAddress: 0x640a,
  // Natural-width guest.
  guestCr0: 0x6800,
  guestCr3: 0x6802,
  guestCr4: 0x6804,
  guestEsBase: 0x6806,
  guestCsBase: 0x6808,
  guestSsBase: 0x680a,
  guestDsBase: 0x680c,
  guestFsBase: 0x680e,
  guestGsBase: 0x6810,
  guestLdtrBase: 0x6812,
  guestTrBase: 0x6814,
  guestGdtrBase: 0x6816,
  guestIdtrBase: 0x6818,
  guestDr7: 0x681a,
  guestRsp: 0x681c,
  guestRip: 0x681e,
  guestRflags: 0x6820,
  guestPendingDebug: 0x6822,
  guestSysenterEsp: 0x6824,
  guestSysenterEip: 0x6826,
  // Natural-width host.
  hostCr0: 0x6c00,
  hostCr3: 0x6c02,
  hostCr4: 0x6c04,
  hostFsBase: 0x6c06,
  hostGsBase: 0x6c08,
  hostTrBase: 0x6c0a,
  hostGdtrBase: 0x6c0c,
  hostIdtrBase: 0x6c0e,
  hostSysenterEsp: 0x6c10,
  hostSysenterEip: 0x6c12,
  hostRsp: 0x6c14,
  hostRip: 0x6c16,
} as const;

export type FieldName = keyof typeof FIELD;

/** Fields that exist only on processors with a feature; elsewhere VMREAD and VMWRITE fail with error 12. */
export const FIELD_NEEDS: Readonly<Partial<Record<FieldName, 'ept' | 'vpid' | 'secondary'>>> = {
  procControls2: 'secondary',
  vpid: 'vpid',
  eptPointer: 'ept',
  guestPhysicalAddress: 'ept',
  guestPdpte0: 'ept',
  guestPdpte1: 'ept',
  guestPdpte2: 'ept',
  guestPdpte3: 'ept',
  guestEfer: 'ept',
  hostEfer: 'ept',
};

export const TYPE_CONTROL = 0;
export const TYPE_EXIT_INFORMATION = 1;
export const TYPE_GUEST = 2;
export const TYPE_HOST = 3;

export const WIDTH_16 = 0;
export const WIDTH_64 = 1;
export const WIDTH_32 = 2;
export const WIDTH_NATURAL = 3;

export function fieldType(encoding: number): number {
  return (encoding >>> 10) & 3;
}
export function fieldWidth(encoding: number): number {
  return (encoding >>> 13) & 3;
}

/** Encodings end below this. */
export const ENCODINGS = 0x8000;
/** The data area begins after revision identifier, abort indicator and launch state. */
const FIRST_OFFSET = 16;

/** Byte offset of a field's data in the VMCS region by encoding (high halves too), 0 where there is no field. */
export const FIELD_OFFSET: Uint16Array = new Uint16Array(ENCODINGS);
let next = FIRST_OFFSET;
for (const encoding of Object.values(FIELD)) {
  FIELD_OFFSET[encoding] = next;
  if (fieldWidth(encoding) === WIDTH_64) {
    FIELD_OFFSET[encoding + 1] = next + 4;
    next += 8;
  } else next += 4;
}
/** Bytes of a VMCS in use. */
export const VMCS_BYTES: number = next;
