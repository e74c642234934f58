/** Where guest frames lie in machine memory. */
import { describe, expect, it } from 'vitest';
import { DEFAULT_PROFILE } from '../../src/cost/profiles/index.ts';
import { FrameMap } from '../../src/engines/frames.ts';
import { Machine } from '../../src/machine/machine.ts';

const RAM = 4 << 20;

function machine(vmmBytes: number): Machine {
  return new Machine({ profile: DEFAULT_PROFILE, ramBytes: RAM, machineBytes: RAM + vmmBytes });
}

describe('with a VMM', () => {
  const host = machine(1 << 20);
  const frames = new FrameMap(host);

  it("gives every guest frame a machine frame of its own, none of them the VMM's and none in place", () => {
    const machineFrames = Array.from({ length: frames.guestFrames }, (_, frame) => frames.machineFrame(frame));
    expect(new Set(machineFrames).size).toBe(1024);
    for (const [guest, at] of machineFrames.entries()) {
      expect(at).toBeGreaterThanOrEqual(256);
      expect(at).toBeLessThan(1280);
      expect(at).not.toBe(guest);
      expect(frames.guestFrame(at)).toBe(guest);
    }
  });

  it('keeps no two neighbours together', () => {
    for (let frame = 1; frame < frames.guestFrames; frame++) {
      expect(Math.abs(frames.machineFrame(frame) - frames.machineFrame(frame - 1))).toBeGreaterThan(1);
    }
  });

  it('translates addresses both ways and has no answer outside', () => {
    const at = frames.toMachine(0x123456);
    expect(frames.toGuest(at as number)).toBe(0x123456);
    expect(frames.toMachine(RAM)).toBeNull();
    expect(frames.toGuest(0x1000)).toBeNull();
  });

  it('writes across frames to the right places', () => {
    const data = Uint8Array.from({ length: 5000 }, (_, index) => index & 0xff);
    frames.writeBytes(0x2ff0, data);
    for (const offset of [0, 15, 16, 4111, 4112, 4999]) {
      expect(host.memory.ram[frames.toMachine(0x2ff0 + offset) as number]).toBe(offset & 0xff);
    }
    expect(() => frames.writeBytes(RAM - 1, data)).toThrow('0x400000 lies beyond guest RAM');
  });

  it('hands out VMM frames consecutively, and again after a restore', () => {
    expect([frames.allocate(), frames.allocate(16)]).toEqual([0, 1]);
    const snapshot = host.snapshot();
    expect(frames.allocate()).toBe(17);
    host.restore(snapshot);
    expect(frames.allocate()).toBe(17);
    expect(() => frames.allocate(300)).toThrow('The VMM has 256 frames, 18 are taken and 300 more were asked for.');
  });
});

it('without a VMM is the identity', () => {
  const frames = new FrameMap(machine(0));
  expect([frames.machineFrame(0), frames.machineFrame(1023)]).toEqual([0, 1023]);
  expect(frames.toMachine(0x1234)).toBe(0x1234);
});
