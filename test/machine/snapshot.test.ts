/** Snapshots: complete, independent of the machine's further life, and refused for another kind of machine. */
import { describe, expect, it } from 'vitest';
import { SnapshotRegistry } from '../../src/machine/snapshot.ts';
import { StateHash } from '../../src/machine/state-hash.ts';

function parts() {
  const ram = new Uint8Array(8192);
  const array = new Int32Array(4);
  let list: number[] = [1, Infinity];
  const registry = new SnapshotRegistry(ram, (at, data) => ram.set(data, at));
  registry.register('array', array);
  registry.registerState(
    'list',
    () => list,
    (values) => {
      list = [...values];
    },
  );
  return { ram, array, registry, list: (): number[] => list };
}

describe('a snapshot', () => {
  it('brings back RAM, arrays and lists, twice', () => {
    const { ram, array, registry, list } = parts();
    ram[5000] = 7;
    array[2] = -1;
    const snapshot = registry.take();
    const hash = registry.hash();
    for (let round = 0; round < 2; round++) {
      ram[5000] = 8;
      array[2] = 3;
      list().push(5);
      expect(registry.hash()).not.toBe(hash);
      registry.restore(snapshot);
      expect([ram[5000], array[2], list()]).toEqual([7, -1, [1, Infinity]]);
      expect(registry.hash()).toBe(hash);
    }
  });

  it('writes only the pages that differ', () => {
    const ram = new Uint8Array(5 * 4096);
    const written: number[] = [];
    const registry = new SnapshotRegistry(ram, (at, data) => {
      written.push(at);
      ram.set(data, at);
    });
    ram[4096] = 1;
    const snapshot = registry.take();
    ram[4096] = 2;
    ram[5 * 4096 - 1] = 3;
    registry.restore(snapshot);
    expect(written).toEqual([4096, 4 * 4096]);
    expect(ram).toEqual(snapshot.ram);
  });

  it('runs what must follow a restore, in order, with all parts in place', () => {
    const { array, registry } = parts();
    const seen: number[] = [];
    registry.onRestored(() => seen.push(1, array[0] as number));
    registry.onRestored(() => seen.push(2));
    array[0] = 42;
    const snapshot = registry.take();
    array[0] = 0;
    registry.restore(snapshot);
    expect(seen).toEqual([1, 42, 2]);
  });

  it('is refused by a machine with other parts or another size', () => {
    const { registry } = parts();
    const snapshot = registry.take();
    const other = new SnapshotRegistry(new Uint8Array(8192), () => {});
    other.register('something else', new Int32Array(1));
    expect(() => other.restore(snapshot)).toThrow("The snapshot has no 'something else'");
    expect(() => new SnapshotRegistry(new Uint8Array(1), () => {}).restore(snapshot)).toThrow(
      '8192 bytes of RAM, the machine 1',
    );
  });

  it('has parts of different names', () => {
    const { registry } = parts();
    expect(() => registry.register('list', new Int32Array(1))).toThrow("Two parts of the machine are called 'list'.");
  });
});

describe('the state hash', () => {
  const hashOf = (...pieces: number[][]): string => {
    const hash = new StateHash();
    for (const piece of pieces) hash.bytes(Uint8Array.from(piece));
    return hash.digest();
  };

  it('is 16 digits and always the same', () => {
    expect(hashOf([1, 2, 3, 4, 5])).toMatch(/^[0-9a-f]{16}$/);
    expect(hashOf([1, 2, 3, 4, 5])).toBe(hashOf([1, 2, 3, 4, 5]));
  });

  it('tells apart single bits, order, lengths and where pieces end', () => {
    const hashes = [
      hashOf([0, 0, 0, 0, 0]),
      hashOf([0, 0, 0, 0, 1]),
      hashOf([1, 0, 0, 0, 0]),
      hashOf([0, 0, 0, 0]),
      hashOf([0, 0, 0, 0, 0, 0, 0, 0]),
      hashOf([0, 0, 0, 0], [0, 0, 0, 0]),
      hashOf([1, 0, 0, 0, 2, 0, 0, 0]),
      hashOf([2, 0, 0, 0, 1, 0, 0, 0]),
      hashOf([1, 0, 0, 0], [2, 0, 0, 0]),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
  });
});
