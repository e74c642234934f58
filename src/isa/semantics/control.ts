/** Near transfers, string instructions and everything that is carried out by a system procedure. */
import type { Builder, Meaning } from './builder.ts';

function branchIf<V>(b: Builder<V>, condition: V): void {
  b.checkBranch(condition);
  b.branch(condition);
}

const jcc: Meaning = (b, condition) => branchIf(b, b.condition(condition));
const jmp: Meaning = (b) => {
  b.checkTarget(b.branchTarget());
  b.jump(b.branchTarget());
};
const jmpIndirect: Meaning = (b) => {
  const target = b.nearTarget(b.read(0));
  b.checkTarget(target);
  b.jump(target);
};

function pushReturn<V>(b: Builder<V>): void {
  const size = b.operandSize;
  b.stackStore(-size, size, b.next());
  b.adjustStack(b.constant(-size));
}

const call: Meaning = (b) => {
  b.checkTarget(b.branchTarget());
  pushReturn(b);
  b.jump(b.branchTarget());
};

const callIndirect: Meaning = (b) => {
  const target = b.bind(b.nearTarget(b.read(0)));
  b.checkTarget(target);
  pushReturn(b);
  b.jump(target);
};

const ret: Meaning = (b) => {
  const size = b.operandSize;
  const target = b.bind(b.nearTarget(b.stackLoad(0, size)));
  b.checkTarget(target);
  b.adjustStack(b.add(b.constant(size), b.immediate()));
  b.jump(target);
};

/** LOOP counts down in CX or ECX by address size and changes no flags. */
function loop(extra: number): Meaning {
  return (b) => {
    const size = b.addressSize;
    const count = b.bind(b.sub(b.register(1, size), b.constant(1)));
    const more = b.equal(b.equal(b.zeroExtend(count, size), b.constant(0)), b.constant(0));
    const taken = extra < 0 ? more : b.and(more, b.condition(extra));
    b.checkBranch(taken);
    b.setRegister(1, size, count);
    b.branch(taken);
  };
}

const jecxz: Meaning = (b) =>
  branchIf(b, b.equal(b.zeroExtend(b.register(1, b.addressSize), b.addressSize), b.constant(0)));

function farTransfer(name: string): Meaning {
  return (b) => {
    const size = b.operandSize;
    if (!b.isMemory(0)) {
      b.system(name, [b.immediate2(), b.immediate(), b.constant(size)]);
      return;
    }
    const offset = b.bind(b.load(size, b.linear(size + 2, false)));
    const selector = b.bind(b.load(2, b.linear(2, false, b.constant(size))));
    b.system(name, [
      b.and(selector, b.constant(0xffff)),
      size === 2 ? b.zeroExtend(offset, 2) : offset,
      b.constant(size),
    ]);
  };
}

/** LDS LES LSS LFS LGS: the selector is loaded, with all its checks, before the register changes. */
const loadFar: Meaning = (b) => {
  const size = b.operandSize;
  const offset = b.bind(b.load(size, b.linear(size + 2, false)));
  const selector = b.bind(b.load(2, b.linear(2, false, b.constant(size))));
  b.systemEffect('loadSegment', [b.segmentOfInstruction(), b.and(selector, b.constant(0xffff)), b.constant(0)]);
  b.write(0, offset);
  b.end();
};

const movSegmentLoad: Meaning = (b) => b.system('loadSegment', [b.segmentOperand(), b.readUnsigned(1), b.constant(1)]);
/** To a register the selector is zero-extended to the operand size; to memory it is 16 bits. */
const movSegmentStore: Meaning = (b) => b.write(0, b.selector(), b.isMemory(0) ? 2 : b.operandSize);
const pushSegment: Meaning = (b) => {
  const size = b.operandSize;
  b.stackStore(-size, size, b.selector());
  b.adjustStack(b.constant(-size));
};
const popSegment: Meaning = (b) => {
  const selector = b.bind(b.stackLoad(0, b.operandSize));
  b.system('loadSegmentFromStack', [
    b.segmentOperand(),
    b.and(selector, b.constant(0xffff)),
    b.constant(b.operandSize),
  ]);
};

const pushf: Meaning = (b) => {
  const size = b.operandSize;
  const image = b.bind(b.systemCall('pushfImage', [b.constant(size)]));
  b.stackStore(-size, size, image);
  b.adjustStack(b.constant(-size));
  b.end();
};
const popf: Meaning = (b) => {
  const size = b.operandSize;
  b.systemEffect('requireFlagsTransfer', [b.constant(size)]);
  const image = b.bind(b.stackLoad(0, size));
  b.systemEffect('popf', [image, b.constant(size)]);
  b.adjustStack(b.constant(size));
  b.end();
};

function tableLoad(name: string): Meaning {
  return (b) => {
    b.systemEffect('requireRing0', []);
    b.system(name, [b.linear(6, false), b.table(), b.constant(b.operandSize)]);
  };
}
function tableStore(name: string): Meaning {
  return (b) => b.system(name, [b.linear(6, true), b.table()]);
}
/** `check` raises what comes before the fault of a memory operand (SDM 3A 6.9). */
function selectorLoad(name: string, check: 'requireRing0' | 'requireProtected' | 'requireProtectedRing0'): Meaning {
  return (b) => {
    b.systemEffect(check, []);
    b.system(name, [b.readUnsigned(0)]);
  };
}
function selectorStore(name: string): Meaning {
  return (b) => {
    const value = b.bind(b.systemCall(name, []));
    b.write(0, value, b.isMemory(0) ? 2 : b.operandSize);
    b.end();
  };
}
/** LAR / LSL: the procedure sets ZF; the destination changes only if it is set. */
function probe(name: string): Meaning {
  return (b) => {
    b.systemEffect('requireProtected', []);
    const selector = b.readUnsigned(1);
    const value = b.bind(b.systemCall(name, [selector]));
    b.when(b.condition(4), () => b.write(0, value));
    b.end();
  };
}

function plain(name: string): Meaning {
  return (b) => b.system(name, []);
}

/** Tells VMX that the port is an immediate (SDM 3C table 27-5); `IO_IMMEDIATE` of core/vmx-hooks.ts. */
const PORT_IS_IMMEDIATE = 8;

/** IN / OUT: size is the accumulator's. */
const inPort: Meaning = (b) => {
  const size = b.size(0);
  const port = b.bind(b.readUnsigned(1));
  b.setRegister(
    0,
    size,
    b.bind(
      b.systemCall('portIn', [port, b.constant(size), b.constant(b.isImmediateOperand(1) ? PORT_IS_IMMEDIATE : 0)]),
    ),
  );
  b.end();
};
const outPort: Meaning = (b) =>
  b.system('portOut', [
    b.readUnsigned(0),
    b.readUnsigned(1),
    b.constant(b.size(1)),
    b.constant(b.isImmediateOperand(0) ? PORT_IS_IMMEDIATE : 0),
  ]);

const readControl: Meaning = (b) => {
  const value = b.bind(b.systemCall('readControl', [b.registerField(), b.rmField()]));
  b.write(0, value);
  b.end();
};
const writeControl: Meaning = (b) => b.system('writeControl', [b.registerField(), b.read(1), b.rmField()]);
const readDebug: Meaning = (b) => {
  const value = b.bind(b.systemCall('readDebug', [b.registerField(), b.rmField()]));
  b.write(0, value);
  b.end();
};
const writeDebug: Meaning = (b) => b.system('writeDebug', [b.registerField(), b.read(1), b.rmField()]);

function stringOperation(name: string): Meaning {
  return (b) => b.string(name);
}

export const control: Readonly<Record<string, Meaning>> = {
  jcc,
  jmp,
  jmpIndirect,
  call,
  callIndirect,
  ret,
  jecxz,
  loadFar,
  loop: loop(-1),
  loope: loop(4),
  loopne: loop(5),
  farJump: farTransfer('farJump'),
  farCall: farTransfer('farCall'),
  farRet: (b) => b.system('farReturn', [b.immediate(), b.constant(b.operandSize)]),
  iret: (b) => b.system('iret', [b.constant(b.operandSize)]),
  int: (b) => b.system('softwareInterrupt', [b.immediate()]),
  int3: plain('int3'),
  into: plain('into'),
  sysenter: plain('sysenter'),
  sysexit: plain('sysexit'),
  movs: stringOperation('movs'),
  cmps: stringOperation('cmps'),
  stos: stringOperation('stos'),
  lods: stringOperation('lods'),
  scas: stringOperation('scas'),
  ins: stringOperation('ins'),
  outs: stringOperation('outs'),
  movSegmentLoad,
  movSegmentStore,
  pushSegment,
  popSegment,
  pushf,
  popf,
  in: inPort,
  out: outPort,
  cli: plain('cli'),
  sti: plain('sti'),
  hlt: plain('hlt'),
  lgdt: tableLoad('lgdt'),
  lidt: tableLoad('lidt'),
  sgdt: tableStore('sgdt'),
  sidt: tableStore('sidt'),
  lldt: selectorLoad('lldt', 'requireProtectedRing0'),
  ltr: selectorLoad('ltr', 'requireProtectedRing0'),
  sldt: selectorStore('sldt'),
  str: selectorStore('str'),
  smsw: selectorStore('smsw'),
  lmsw: selectorLoad('lmsw', 'requireRing0'),
  clts: plain('clts'),
  lar: probe('lar'),
  lsl: probe('lsl'),
  verr: selectorLoad('verr', 'requireProtected'),
  verw: selectorLoad('verw', 'requireProtected'),
  readControl,
  writeControl,
  readDebug,
  writeDebug,
  invlpg: (b) => b.system('invlpg', [b.effectiveLinear()]),
  invd: plain('invd'),
  wbinvd: plain('wbinvd'),
  rdmsr: plain('rdmsr'),
  wrmsr: plain('wrmsr'),
  rdtsc: plain('rdtsc'),
  rdpmc: plain('rdpmc'),
  cpuid: plain('cpuid'),
  vmcall: (b) => b.vmx('vmcall'),
  vmlaunch: (b) => b.vmx('vmlaunch'),
  vmresume: (b) => b.vmx('vmresume'),
  vmxoff: (b) => b.vmx('vmxoff'),
  vmxon: (b) => b.vmx('vmxon'),
  vmptrld: (b) => b.vmx('vmptrld'),
  vmptrst: (b) => b.vmx('vmptrst'),
  vmclear: (b) => b.vmx('vmclear'),
  vmread: (b) => b.vmx('vmread'),
  vmwrite: (b) => b.vmx('vmwrite'),
  invept: (b) => b.vmx('invept'),
  invvpid: (b) => b.vmx('invvpid'),
};
