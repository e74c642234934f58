/**
 * The virtio console (Virtual I/O Device 1.1, section 5.3) with its one port: queue 0 receives, queue 1 transmits. Sending
 * takes no time, as on the serial port.
 */
import { type VirtioParts, VirtioPciDevice } from './pci-device.ts';
import type { VirtQueue } from './queue.ts';

const TYPE = 3;
const COMMUNICATION = 0x078000;
const RECEIVE = 0;
const TRANSMIT = 1;

export class VirtioConsole extends VirtioPciDevice {
  #input: number[] = [];

  /** `print` takes what the guest transmits. */
  constructor(print: (bytes: Uint8Array) => void, parts: VirtioParts) {
    super(
      {
        type: TYPE,
        classCode: COMMUNICATION,
        features: 0,
        queues: 2,
        config: () => new Uint8Array(8),
        notified: (queue) => {
          if (queue === TRANSMIT) this.#transmit(print);
          else this.#deliver();
        },
      },
      parts,
    );
  }

  /** Gives the guest input to receive. */
  receive(bytes: Uint8Array): void {
    this.#input.push(...bytes);
    this.#deliver();
  }

  override save(): number[] {
    const state = super.save();
    return [state.length, ...state, ...this.#input];
  }

  override load(values: readonly number[]): void {
    const length = values[0] as number;
    super.load(values.slice(1, 1 + length));
    this.#input = values.slice(1 + length);
  }

  #transmit(print: (bytes: Uint8Array) => void): void {
    const queue = this.queues[TRANSMIT] as VirtQueue;
    let wanted = false;
    for (let chain = queue.take(); chain !== null; chain = queue.take()) {
      print(queue.gather(chain.readable));
      wanted = queue.give(chain, 0) || wanted;
    }
    if (wanted) this.interrupt();
  }

  #deliver(): void {
    if (!this.running) return;
    const queue = this.queues[RECEIVE] as VirtQueue;
    let wanted = false;
    while (this.#input.length > 0) {
      const chain = queue.take();
      if (chain === null) break;
      const written = queue.scatter(chain.writable, Uint8Array.from(this.#input));
      this.#input = this.#input.slice(written);
      wanted = queue.give(chain, written) || wanted;
    }
    if (wanted) this.interrupt();
  }
}
