/**
 * Event channels, the two-level kind (public/event_channel.h): 1024 ports, a pending and a mask bit each in the shared
 * page, a selector word over them, and the vcpu's pending and mask bytes, of which the mask is the guest's interrupt flag.
 * A port that becomes pending while it is masked loses its edge: only the guest's own unmask looks again.
 */

import type { MachineAddress } from '../../core/address.ts';
import type { Cpu } from '../../core/cpu.ts';
import { eventNumber } from '../../cost/event.ts';
import { EEXIST, EINVAL, ENOENT, ENOSPC } from './errno.ts';
import { EVTCHN_MASK, EVTCHN_PENDING, PENDING_SEL, UPCALL_MASK, UPCALL_PENDING } from './shared-info.ts';

const TOUCH = eventNumber('vmmTouch');

export const PORTS = 1024;
export const VIRQ_TIMER = 0;
const VIRQS = 24;

/** States of a port, with the numbers that `status` reports. Port 0 is reserved. */
export const PORT_FREE = 0;
export const PORT_UNBOUND = 1;
export const PORT_INTERDOMAIN = 2;
export const PORT_VIRQ = 4;
export const PORT_IPI = 5;
const PORT_RESERVED = 255;

export class EventChannels {
  /** State of every port, and its detail: the virq, or the remote domain. Part of the snapshot. */
  readonly states: Uint8Array = new Uint8Array(PORTS);
  readonly details: Int32Array = new Int32Array(PORTS);
  /** Port of every virq, 0 if none. */
  readonly virqs: Int32Array = new Int32Array(VIRQS);
  readonly #cpu: Cpu;
  /** Machine address of the shared page. */
  readonly #shared: number;

  constructor(cpu: Cpu, shared: number) {
    this.#cpu = cpu;
    this.#shared = shared;
    this.states[0] = PORT_RESERVED;
  }

  /** Takes the lowest free port; ENOSPC if there is none. */
  allocate(state: number, detail: number): number {
    const port = this.states.indexOf(PORT_FREE);
    if (port < 0) return ENOSPC;
    this.states[port] = state;
    this.details[port] = detail;
    return port;
  }

  /** The port, or an error. */
  bindVirq(virq: number, vcpu: number): number {
    if (virq >>> 0 >= VIRQS) return EINVAL;
    if (vcpu !== 0) return ENOENT;
    if (this.virqs[virq] !== 0) return EEXIST;
    const port = this.allocate(PORT_VIRQ, virq);
    if (port > 0) this.virqs[virq] = port;
    return port;
  }

  bindIpi(vcpu: number): number {
    return vcpu === 0 ? this.allocate(PORT_IPI, 0) : ENOENT;
  }

  close(port: number): number {
    if (!this.#bound(port)) return EINVAL;
    if (this.states[port] === PORT_VIRQ) this.virqs[this.details[port] as number] = 0;
    this.states[port] = PORT_FREE;
    this.#clearBit(EVTCHN_PENDING, port);
    return 0;
  }

  /** What the guest sends to itself arrives; the domains at the other end of a connection are not modelled and hear nothing. */
  send(port: number): number {
    if (!this.#bound(port)) return EINVAL;
    switch (this.states[port]) {
      case PORT_IPI:
        this.raise(port);
        return 0;
      case PORT_INTERDOMAIN:
      case PORT_UNBOUND:
        return 0;
      default:
        return EINVAL;
    }
  }

  /** Clears the mask bit; an event that waited behind it arrives. */
  unmask(port: number): number {
    if (port >>> 0 >= PORTS) return EINVAL;
    this.#cpu.ledger.charge(TOUCH);
    this.#clearBit(EVTCHN_MASK, port);
    if (this.#bit(EVTCHN_PENDING, port)) this.#select(port);
    return 0;
  }

  raiseVirq(virq: number): void {
    const port = this.virqs[virq] as number;
    if (port !== 0) this.raise(port);
  }

  /** Makes a port pending. Only a change from 0 to 1 of an unmasked port goes further. */
  raise(port: number): void {
    this.#cpu.ledger.charge(TOUCH);
    if (this.#bit(EVTCHN_PENDING, port)) return;
    const at = this.#wordOf(EVTCHN_PENDING, port);
    this.#write(at, this.#read(at) | (1 << (port & 31)));
    if (!this.#bit(EVTCHN_MASK, port)) this.#select(port);
  }

  pending(port: number): boolean {
    return this.#bit(EVTCHN_PENDING, port);
  }

  /** Whether the guest must be called now. */
  get upcallDue(): boolean {
    const { memory } = this.#cpu;
    return (
      memory.read8((this.#shared + UPCALL_PENDING) as MachineAddress) !== 0 &&
      memory.read8((this.#shared + UPCALL_MASK) as MachineAddress) === 0
    );
  }

  get masked(): boolean {
    return this.#cpu.memory.read8((this.#shared + UPCALL_MASK) as MachineAddress) !== 0;
  }
  set masked(value: boolean) {
    this.#cpu.memory.write8((this.#shared + UPCALL_MASK) as MachineAddress, value ? 1 : 0);
  }

  #select(port: number): void {
    const { memory } = this.#cpu;
    const selector = this.#read(PENDING_SEL);
    const bit = 1 << (port >>> 5);
    if ((selector & bit) !== 0) return;
    this.#write(PENDING_SEL, selector | bit);
    memory.write8((this.#shared + UPCALL_PENDING) as MachineAddress, 1);
  }

  #bound(port: number): boolean {
    if (port >>> 0 >= PORTS) return false;
    const state = this.states[port];
    return state !== PORT_FREE && state !== PORT_RESERVED;
  }

  #wordOf(array: number, port: number): number {
    return array + 4 * (port >>> 5);
  }
  #bit(array: number, port: number): boolean {
    return ((this.#read(this.#wordOf(array, port)) >>> (port & 31)) & 1) !== 0;
  }
  #clearBit(array: number, port: number): void {
    const at = this.#wordOf(array, port);
    this.#write(at, this.#read(at) & ~(1 << (port & 31)));
  }
  #read(offset: number): number {
    return this.#cpu.memory.read32((this.#shared + offset) as MachineAddress) | 0;
  }
  #write(offset: number, value: number): void {
    this.#cpu.memory.write32((this.#shared + offset) as MachineAddress, value);
  }
}
