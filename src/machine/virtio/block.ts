/**
 * The virtio block device (Virtual I/O Device 1.1, section 5.2): one queue of requests, carried out together a fixed time after
 * the driver's notification, in virtual time.
 */
import type { DeviceClock } from '../clock.ts';
import { type Disk, SECTOR_BYTES } from '../disk.ts';
import type { EventQueue } from '../events.ts';
import { type VirtioParts, VirtioPciDevice } from './pci-device.ts';
import type { Chain, VirtQueue } from './queue.ts';

const TYPE = 2;
const MASS_STORAGE = 0x018000;
/** Most data buffers of a request; block size; flush. */
const FEATURE_SEG_MAX = 1 << 2;
const FEATURE_BLOCK_SIZE = 1 << 6;
const FEATURE_FLUSH = 1 << 9;
const SEG_MAX = 126;
const HEADER_BYTES = 16;

const READ = 0;
const WRITE = 1;
const FLUSH = 4;
const GET_ID = 8;
const OK = 0;
const IO_ERROR = 1;
const UNSUPPORTED = 2;
const ID = 'trivisor';
const ID_BYTES = 20;

/** From the notification to the interrupt, in microseconds. */
const REQUEST_MICROSECONDS = 60;

export class VirtioBlock extends VirtioPciDevice {
  readonly #disk: Disk;

  constructor(disk: Disk, clock: DeviceClock, events: EventQueue, parts: VirtioParts) {
    const source = events.register(() => this.#work());
    super(
      {
        type: TYPE,
        classCode: MASS_STORAGE,
        features: FEATURE_SEG_MAX | FEATURE_BLOCK_SIZE | FEATURE_FLUSH,
        queues: 1,
        config: () => configuration(disk),
        notified: () => {
          if (events.due[source] === Infinity)
            events.schedule(source, clock.cyclesAt(clock.ticks() + REQUEST_MICROSECONDS));
        },
      },
      parts,
    );
    this.#disk = disk;
  }

  override save(): number[] {
    const state = super.save();
    return [state.length, ...state, ...this.#disk.save()];
  }

  override load(values: readonly number[]): void {
    const length = values[0] as number;
    super.load(values.slice(1, 1 + length));
    this.#disk.load(values.slice(1 + length));
  }

  #work(): void {
    const queue = this.queues[0] as VirtQueue;
    let wanted = false;
    for (let chain = queue.take(); chain !== null; chain = queue.take()) {
      wanted = queue.give(chain, this.#request(queue, chain)) || wanted;
    }
    if (wanted) this.interrupt();
  }

  /** Carries out one request; returns how many bytes were written to the guest, its status byte included. */
  #request(queue: VirtQueue, chain: Chain): number {
    const input = queue.gather(chain.readable);
    const room = chain.writable.reduce((sum, { bytes }) => sum + bytes, 0);
    if (input.length < HEADER_BYTES || room < 1) return 0;
    const header = new DataView(input.buffer);
    const sector = header.getUint32(8, true) + header.getUint32(12, true) * 0x100000000;
    const output = new Uint8Array(room);
    output[room - 1] = this.#act(
      header.getUint32(0, true),
      sector,
      input.subarray(HEADER_BYTES),
      output.subarray(0, room - 1),
    );
    return queue.scatter(chain.writable, output);
  }

  #act(type: number, sector: number, input: Uint8Array, output: Uint8Array): number {
    const data = type === WRITE ? input : output;
    switch (type) {
      case READ:
      case WRITE:
        if (data.length % SECTOR_BYTES !== 0 || sector + data.length / SECTOR_BYTES > this.#disk.size) return IO_ERROR;
        if (type === READ) this.#disk.read(sector, output);
        else this.#disk.write(sector, input);
        return OK;
      case FLUSH:
        return OK;
      case GET_ID:
        for (let i = 0; i < Math.min(output.length, ID_BYTES); i++) output[i] = ID.charCodeAt(i) || 0;
        return OK;
      default:
        return UNSUPPORTED;
    }
  }
}

/** struct virtio_blk_config: capacity in sectors, segment limits, block size. */
function configuration(disk: Disk): Uint8Array {
  const bytes = new Uint8Array(24);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, disk.size, true);
  view.setUint32(12, SEG_MAX, true);
  view.setUint32(20, SECTOR_BYTES, true);
  return bytes;
}
