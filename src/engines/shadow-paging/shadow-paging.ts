/**
 * Shadow paging: the processor walks tables that the VMM writes, which hold what the guest's tables hold with every
 * guest frame replaced by its machine frame. They are filled on demand (a hidden fault each), cached per guest table and
 * kept true by write traces on the guest's tables: a traced frame is mapped read-only everywhere, the VMM emulates the
 * stores to it and brings the shadow entry up to date at once (legal, because a TLB may refetch an entry at any time).
 * So a guest context switch costs a look-up, not a refill. As Linux 3.11 Documentation/virtual/kvm/mmu.txt describes,
 * without its unsynchronized tables. See types.ts for how an engine uses it.
 *
 * Built: guests with PAE, two-level (PSE, PSE-36) and no paging; large pages (as 4 KB shadows, since guest frames are
 * scattered in machine memory); G, NX, CR0.WP = 0. Absent: unsynchronized tables, PAT and memory types, SMEP/SMAP.
 */
import { eventNumber } from '../../cost/event.ts';
import type { Ledger } from '../../cost/ledger.ts';
import {
  COUNT_DOWNGRADE,
  COUNT_FLOOD,
  COUNT_HIDDEN,
  COUNT_MMIO,
  COUNT_NEW_ROOT,
  COUNT_RECLAIM,
  COUNT_RESERVED,
  COUNT_STORE,
  COUNT_SWITCH,
  COUNT_TABLE,
  COUNT_TRACED,
  COUNT_TRUE,
  ShadowCounts,
} from './counts.ts';
import { EntryUpdate } from './entry-update.ts';
import {
  ENTRY_A,
  ENTRY_D,
  ENTRY_G,
  ENTRY_NX,
  ENTRY_P,
  ENTRY_U,
  ENTRY_W,
  ERROR_I,
  ERROR_U,
  ERROR_W,
  GuestWalk,
  MODE_OFF,
  MODE_PAE,
  MODE_TWO_LEVEL,
  tableAddress,
} from './guest-walk.ts';
import {
  ROLE_CR3_SHIFT,
  ROLE_DIRECT,
  ROLE_GLOBAL,
  ROLE_LEVEL,
  ROLE_NO_WP,
  ROLE_NXE,
  ROLE_PGE,
  ROLE_QUADRANT_SHIFT,
  ROLE_TOP,
  ROLE_TWO_LEVEL,
  ROLE_UPPER_U,
  ROLE_UPPER_W,
  ShadowTables,
} from './shadow-tables.ts';
import type { FaultKind, GuestFrames, ShadowHooks, ShadowOptions } from './types.ts';
import { TRACE_PAGE_TABLE } from './types.ts';

const READ_ENTRY = eventNumber('shadowReadEntry');
const HASH = eventNumber('vmmHash');

/** The guest frame that stands for "no guest table" under the VMM's own top level-2 table. */
const NO_FRAME = -1;
const SLOTS = 512;

export class ShadowPaging {
  /** The guest's own view; its `context` is what `activate` last loaded. */
  readonly guest: GuestWalk;
  /** Trace kinds by guest frame (TRACE_*). */
  readonly traces: Uint8Array;
  /** Error code to give the guest, after 'true'. */
  faultError = 0;
  /** Guest-physical address of the access, after 'traced', 'mmio' and 'reserved'. */
  faultPhysical = 0;

  readonly #tables: ShadowTables;
  readonly #ledger: Ledger;
  readonly #frames: GuestFrames;
  readonly #hooks: ShadowHooks;
  readonly #top: ShadowOptions['top'];
  readonly #topStart: number;
  readonly #flood1: number;
  readonly #flood2: number;
  readonly #counts = new ShadowCounts();
  readonly #update: EntryUpdate;
  /** [0]: the processor may hold a writable translation that no shadow entry has any more. */
  readonly #stale: Uint8Array = new Uint8Array(1);

  constructor(options: ShadowOptions) {
    if (options.tableFrames < 16) {
      throw new Error(`Shadow paging needs at least 16 table frames, got ${options.tableFrames}.`);
    }
    this.#ledger = options.ledger;
    this.#frames = options.frames;
    this.#hooks = options.hooks;
    this.#top = options.top;
    this.#topStart = options.top === undefined ? 0x100000000 : 0xc0000000 + options.top.firstSlot * 0x200000;
    this.#flood1 = options.floodLimit?.level1 ?? 16;
    this.#flood2 = options.floodLimit?.level2 ?? 3;
    this.guest = new GuestWalk(options.memory, options.ledger, options.frames);
    this.traces = new Uint8Array(options.frames.guestFrames);
    this.#tables = new ShadowTables(
      options.memory,
      options.ledger,
      options.tables,
      options.tableFrames,
      options.frames.guestFrames,
    );
    this.#update = new EntryUpdate({
      tables: this.#tables,
      guest: this.guest,
      ledger: options.ledger,
      frames: options.frames,
      traces: this.traces,
      stale: this.#stale,
      counts: this.#counts,
      firstVmmSlot: options.top?.firstSlot ?? SLOTS,
    });
  }

  /** Every array that must be in a snapshot, with a name. */
  arrays(): readonly (readonly [string, Int32Array | Uint8Array | Float64Array])[] {
    return [
      ...this.#tables.arrays(),
      ['traces', this.traces],
      ['context', this.guest.context],
      ['counts', this.#counts.values],
      ['stale', this.#stale],
    ];
  }

  counters(): Record<string, number> {
    return this.#counts.byName();
  }

  /** Machine address of the current shadow root (a PDPT). */
  get rootAddress(): number {
    return this.#tables.address(this.#tables.root);
  }

  /**
   * Takes the guest's paging registers (at its MOV to CR3, CR0 or CR4, or at start) and returns the machine address of
   * the shadow root for them, complete down to its level-2 tables, so that the processor may load its PDPTEs from it.
   * -1: the guest's PDPTEs have reserved bits set (#GP(0) to it), nothing has changed. Flushing the TLB is the caller's part.
   */
  activate(cr3: number, cr0: number, cr4: number, efer: number): number {
    if (!this.guest.load(cr3, cr0, cr4, efer)) return -1;
    this.#counts.add(COUNT_SWITCH);
    const tables = this.#tables;
    const mode = this.guest.mode;
    const common = this.#commonRole();
    const frame = mode === MODE_OFF ? 0 : cr3 >>> 12;
    const role = common | 3 | (mode === MODE_PAE ? ((cr3 >>> 5) & 0x7f) << ROLE_CR3_SHIFT : 0);
    let root = tables.find(frame, role);
    if (root < 0) {
      root = this.#allocate(frame, role);
      this.#counts.add(COUNT_NEW_ROOT);
    }
    tables.root = root;
    for (let slot = 0; slot < 4; slot++) this.#linkRootSlot(root, slot, common);
    return tables.address(root);
  }

  /**
   * Settles a page fault that the processor took while the guest ran. `errorCode` is the processor's; its U bit must
   * mean the guest's user mode (true for a guest kernel at CPL 1 as well, since paging knows only CPL 3).
   */
  handlePageFault(linear: number, errorCode: number): FaultKind {
    const guest = this.guest;
    const write = (errorCode & ERROR_W) !== 0;
    const user = (errorCode & ERROR_U) !== 0;
    const fetch = (errorCode & ERROR_I) !== 0;
    guest.walk(linear);
    if (!guest.allows(write, user, fetch)) {
      this.faultError = guest.errorCode(write, user, fetch);
      this.#counts.add(COUNT_TRUE);
      return 'true';
    }
    guest.setAccessed(write);
    const frame = guest.frame;
    this.faultPhysical = frame * 4096 + (linear & 0xfff);
    if (linear >>> 0 >= this.#topStart) {
      this.#counts.add(COUNT_RESERVED);
      return 'reserved';
    }
    if (frame >= this.#frames.guestFrames) {
      this.#counts.add(COUNT_MMIO);
      return 'mmio';
    }
    const traced = this.#fill(linear, write, user);
    this.#counts.add(traced ? COUNT_TRACED : COUNT_HIDDEN);
    return traced ? 'traced' : 'hidden';
  }

  /**
   * Must be told of every store that the VMM makes to guest memory on the guest's behalf (emulated instructions,
   * exception frames): keeps shadow entries true, and calls `tracedStore` for the other kinds. `size` at most 8.
   */
  stored(guestPhysical: number, size: number): void {
    const frame = Math.floor(guestPhysical / 4096);
    if (frame >= this.#frames.guestFrames) return;
    const kinds = this.traces[frame] as number;
    if (kinds === 0) return;
    if ((kinds & TRACE_PAGE_TABLE) !== 0) this.#storedTable(frame, guestPhysical & 0xfff, size);
    if ((kinds & ~TRACE_PAGE_TABLE) !== 0) this.#hooks.tracedStore(kinds & ~TRACE_PAGE_TABLE, guestPhysical, size);
  }

  /** Guest INVLPG. Its tables are traced, so the shadow is true already; only the processor's copy must go. */
  invalidatePage(linear: number): void {
    this.#hooks.invalidatePage(linear);
  }

  /** Says that the processor has just forgotten all translations of the guest (so that traces need not flush again). */
  flushed(): void {
    this.#stale[0] = 0;
  }

  /** Begins to trace a guest frame for `kind`: existing mappings lose write access. */
  trace(frame: number, kind: number): void {
    const kinds = this.traces[frame] as number;
    this.traces[frame] = kinds | kind;
    if (kinds !== 0) return;
    const changed = this.#tables.downgrade(frame);
    this.#counts.add(COUNT_DOWNGRADE, changed);
    if (changed === 0 && this.#stale[0] === 0) return;
    this.#stale[0] = 0;
    this.#hooks.flush();
  }

  /**
   * Gives up every shadow of a guest frame and its page-table trace, so that the next store to it succeeds unseen: for
   * a store that cannot be emulated (the processor pushing an exception frame). False: the frame is in the current root.
   */
  abandon(frame: number): boolean {
    const tables = this.#tables;
    let table = tables.nextShadow(frame, -1);
    while (table >= 0) {
      const next = tables.nextShadow(frame, table);
      if (tables.inRoot(table)) return false;
      if (((tables.role[table] as number) & ROLE_LEVEL) !== 3) this.#release(table);
      table = next;
    }
    return true;
  }

  /** Ends a trace. Mappings stay read-only until a store to them takes a hidden fault. */
  untrace(frame: number, kind: number): void {
    this.traces[frame] = (this.traces[frame] as number) & ~kind;
  }

  /** Role bits that every table of the current address space shares. */
  #commonRole(): number {
    const guest = this.guest;
    if (guest.mode === MODE_OFF) return ROLE_DIRECT;
    return (
      (guest.mode === MODE_TWO_LEVEL ? ROLE_TWO_LEVEL : 0) |
      (guest.writeProtect ? 0 : ROLE_NO_WP) |
      (guest.executeDisable ? ROLE_NXE : 0) |
      (guest.globalPages ? ROLE_PGE : 0)
    );
  }

  #linkRootSlot(root: number, slot: number, common: number): void {
    const tables = this.#tables;
    const guest = this.guest;
    const entry = root * SLOTS + slot;
    const top = slot === 3 && this.#top !== undefined ? ROLE_TOP : 0;
    let frame = NO_FRAME;
    let role = common | 2 | top;
    if (guest.mode === MODE_PAE) {
      const low = guest.pdpteLow(slot);
      const table = Math.floor(tableAddress(low, guest.pdpteHigh(slot)) / 4096);
      if ((low & ENTRY_P) !== 0 && table < this.#frames.guestFrames) frame = table;
    } else {
      frame = guest.mode === MODE_OFF ? slot << 18 : guest.cr3 >>> 12;
      role |= slot << ROLE_QUADRANT_SHIFT;
    }
    this.#ledger.charge(READ_ENTRY);
    if (frame === NO_FRAME && top === 0) {
      if (tables.target(entry) >= 0) tables.clear(entry);
      return;
    }
    if (frame === NO_FRAME) role |= ROLE_DIRECT;
    const linked = tables.target(entry);
    if (linked >= 0 && tables.guestFrame[linked] === frame && tables.role[linked] === role) return;
    tables.setChild(entry, this.#table(frame, role), ENTRY_P, 0);
  }

  /** The table for a guest frame and role, made and traced if new. */
  #table(frame: number, role: number): number {
    const found = this.#tables.find(frame, role);
    return found >= 0 ? found : this.#allocate(frame, role);
  }

  #allocate(frame: number, role: number): number {
    const tables = this.#tables;
    let table = tables.allocate(frame, role);
    if (table < 0) {
      this.#counts.add(COUNT_RECLAIM);
      this.#release(tables.victim());
      table = tables.allocate(frame, role);
    }
    this.#counts.add(COUNT_TABLE);
    // PDPTEs are read only by a CR3 load, so a root's own frame needs no trace.
    if ((role & ROLE_DIRECT) === 0 && (role & ROLE_LEVEL) !== 3) this.trace(frame, TRACE_PAGE_TABLE);
    if ((role & ROLE_TOP) !== 0) this.#top?.fill(tables.address(table));
    return table;
  }

  #release(table: number): void {
    const tables = this.#tables;
    const frame = tables.guestFrame[table] as number;
    const shadowed = ((tables.role[table] as number) & ROLE_DIRECT) === 0;
    tables.free(table);
    this.#stale[0] = 1;
    if (shadowed && frame >= 0 && !this.#isShadowed(frame)) this.untrace(frame, TRACE_PAGE_TABLE);
  }

  #isShadowed(frame: number): boolean {
    let table = this.#tables.nextShadow(frame, -1);
    while (table >= 0) {
      if (((this.#tables.role[table] as number) & ROLE_LEVEL) !== 3) return true;
      table = this.#tables.nextShadow(frame, table);
    }
    return false;
  }

  /** Maps the page that `guest` has just walked to. True: the access is a write and the frame is traced. */
  #fill(linear: number, write: boolean, user: boolean): boolean {
    const tables = this.#tables;
    const guest = this.guest;
    const directory = tables.target(tables.root * SLOTS + (linear >>> 30));
    const upperEntry = directory * SLOTS + ((linear >>> 21) & 511);
    this.#ledger.charge(READ_ENTRY);
    // CR0.WP = 0: a supervisor's write goes through a read-only page, which users then must not reach the same way.
    const through = write && !user && !guest.writable;
    const table = this.#linkLevel1(upperEntry, linear, through);
    tables.touch(directory);
    tables.touch(table);
    tables.uselessStores[directory] = 0;
    tables.uselessStores[table] = 0;

    const traced = this.traces[guest.frame] !== 0;
    const entry = table * SLOTS + ((linear >>> 12) & 511);
    this.#ledger.charge(READ_ENTRY);
    const direct = guest.level === 2;
    let flags = ENTRY_P | ENTRY_A | (direct || guest.user ? ENTRY_U : 0) | (guest.global ? ENTRY_G : 0);
    // A page is writable only once its D bit is set, so that the first write comes here to set it.
    let writable = direct || (guest.writable && guest.dirty);
    if (through && !direct) {
      writable = true;
      flags &= ~ENTRY_U;
    }
    if (writable && !traced) flags |= ENTRY_W | ENTRY_D;
    const high = !direct && guest.noExecute ? ENTRY_NX : 0;
    const old = tables.low(entry);
    if (tables.target(entry) !== guest.frame || old !== ((this.#frames.machineFrame(guest.frame) << 12) | flags | 0)) {
      tables.setLeaf(entry, guest.frame, this.#frames.machineFrame(guest.frame), flags, high);
      if ((old & ENTRY_P) !== 0) this.#hooks.invalidatePage(linear);
    }
    return traced && write;
  }

  #linkLevel1(upperEntry: number, linear: number, through: boolean): number {
    const tables = this.#tables;
    const guest = this.guest;
    const common = this.#commonRole();
    const direct = guest.level === 2;
    let frame = guest.tableFrame;
    let role = common | 1;
    if (direct) {
      frame = guest.frame & ~511;
      role = ROLE_DIRECT | 1 | (guest.global ? ROLE_GLOBAL : 0);
    } else {
      if (guest.mode === MODE_TWO_LEVEL) role |= ((linear >>> 21) & 1) << ROLE_QUADRANT_SHIFT;
      if (!guest.writeProtect) {
        role |= (guest.upperWritable ? ROLE_UPPER_W : 0) | (guest.upperUser ? ROLE_UPPER_U : 0);
      }
    }
    const flags = ENTRY_P | ENTRY_A | this.#upperRights(direct, through);
    const high = (direct ? guest.noExecute : guest.upperNoExecute) ? ENTRY_NX : 0;
    const linked = tables.target(upperEntry);
    if (linked >= 0 && tables.guestFrame[linked] === frame && tables.role[linked] === role) {
      if ((tables.low(upperEntry) & 0xfff) !== flags || tables.high(upperEntry) !== high) {
        tables.setChild(upperEntry, linked, flags, high);
        this.#hooks.invalidatePage(linear);
      }
      return linked;
    }
    const table = this.#table(frame, role);
    tables.setChild(upperEntry, table, flags, high);
    return table;
  }

  /** W and U of the level-2 shadow entry for the page just walked to. */
  #upperRights(direct: boolean, through: boolean): number {
    const guest = this.guest;
    if (guest.mode === MODE_OFF) return ENTRY_W | ENTRY_U;
    if (direct && through) return ENTRY_W;
    if (direct) return (guest.writable && guest.dirty ? ENTRY_W : 0) | (guest.user ? ENTRY_U : 0);
    return (guest.upperWritable || !guest.writeProtect ? ENTRY_W : 0) | (guest.upperUser ? ENTRY_U : 0);
  }

  /** A guest page table was stored to: bring every shadow of the entry up to date, or give the shadow up. */
  #storedTable(frame: number, offset: number, size: number): void {
    const tables = this.#tables;
    this.#counts.add(COUNT_STORE);
    this.#ledger.charge(HASH);
    let table = tables.nextShadow(frame, -1);
    while (table >= 0) {
      const next = tables.nextShadow(frame, table);
      const role = tables.role[table] as number;
      const level = role & ROLE_LEVEL;
      if (level !== 3) {
        const useful = this.#update.entries(table, offset, size);
        const useless = useful ? 0 : (tables.uselessStores[table] as number) + 1;
        tables.uselessStores[table] = useless;
        const oddStore = size < 4 || (offset & 3) !== 0;
        const limit = level === 1 ? this.#flood1 : this.#flood2;
        if (!tables.inRoot(table) && (oddStore || useless >= limit || !tables.hasParents(table))) {
          this.#counts.add(COUNT_FLOOD);
          this.#release(table);
        }
      }
      table = next;
    }
  }
}
