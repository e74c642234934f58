/**
 * Writes cpio archives in the "newc" form, which is what the kernel unpacks as its initial RAM file system (Linux,
 * Documentation/driver-api/early-userspace/buffer-format.rst).
 */

const DIRECTORY = 0o040000;
const REGULAR = 0o100000;
const SYMBOLIC_LINK = 0o120000;
const CHARACTER_DEVICE = 0o020000;

/**
 * @typedef {{ path: string, mode?: number } & (
 *   | { directory: true }
 *   | { data: Uint8Array }
 *   | { link: string }
 *   | { device: readonly [major: number, minor: number] }
 * )} Entry `mode` is the permission bits.
 */

/**
 * The archive of `entries`, in their order; all belong to root and were made at time 0, so that the same entries give the
 * same bytes.
 * @param {readonly Entry[]} entries
 * @returns {Buffer}
 */
export function cpio(entries) {
  const parts = entries.map((entry, index) => member(entry, index + 1));
  parts.push(member({ path: 'TRAILER!!!', data: new Uint8Array(0), mode: 0, type: 0 }, 0));
  return Buffer.concat(parts);
}

function member(entry, inode) {
  const data = 'link' in entry ? Buffer.from(entry.link) : (entry.data ?? new Uint8Array(0));
  const [major, minor] = entry.device ?? [0, 0];
  const type = entry.type ?? typeOf(entry);
  const links = type === DIRECTORY ? 2 : 1;
  const name = Buffer.from(`${entry.path}\0`);
  const fields = [inode, type | modeOf(entry), 0, 0, links, 0, data.length, 0, 0, major, minor, name.length, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0').toUpperCase()).join('')}`;
  return Buffer.concat([padded(Buffer.concat([Buffer.from(header), name])), padded(data)]);
}

function typeOf(entry) {
  if ('directory' in entry) return DIRECTORY;
  if ('link' in entry) return SYMBOLIC_LINK;
  return 'device' in entry ? CHARACTER_DEVICE : REGULAR;
}

function modeOf(entry) {
  return entry.mode ?? ('directory' in entry ? 0o755 : 'link' in entry ? 0o777 : 0o644);
}

function padded(data) {
  return Buffer.concat([data, Buffer.alloc(-data.length & 3)]);
}
