/**
 * The bridges that a PC of this kind has: an Intel 440FX host bridge (datasheet 290549) and a PIIX3 ISA bridge (290550), by
 * their identification and the registers that software looks for. Memory attributes are kept and have no effect: the first
 * megabyte is all RAM.
 */
import { ConfigSpace } from './config-space.ts';

const INTEL = 0x8086;
/** 440FX: programmable attribute map, seven bytes. */
const ATTRIBUTE_MAP = 0x59;
/** PIIX3: routing of PIRQA-D to interrupt inputs; bit 7 is "not routed". */
const ROUTES = 0x60;
const NOT_ROUTED = 0x80;

export function hostBridge(): ConfigSpace {
  const config = new ConfigSpace({ vendor: INTEL, device: 0x1237, revision: 2, classCode: 0x060000 });
  for (let at = ATTRIBUTE_MAP; at < ATTRIBUTE_MAP + 7; at++) config.setRegister(at, 0x33, 0x33, 1);
  return config;
}

export function isaBridge(): ConfigSpace {
  const config = new ConfigSpace({ vendor: INTEL, device: 0x7000, classCode: 0x060100, headerType: 0x80 });
  for (let pin = 0; pin < 4; pin++) config.setRegister(ROUTES + pin, NOT_ROUTED, 0x8f, 1);
  return config;
}
