/** What the MMX and SSE instructions of one meaning have in common (see `properties.ts`). */
import type { CostClass } from './cost-class.ts';
import { AF, CF, OF, PF, SF, ZF } from './eflags.ts';
import type { Properties } from './properties.ts';

/** ZF PF CF tell; the others are cleared (SDM volume 2, COMISS). */
const COMPARE_FLAGS = ZF | PF | CF | OF | SF | AF;

/** Meanings by the class that prices them. */
const MEANINGS_OF: Readonly<Partial<Record<CostClass, string>>> = {
  simdMove:
    'movqLoad movqStore moveAlignedLoad moveAlignedStore moveUnalignedLoad moveUnalignedStore movq2dq movdq2q ' +
    'movssLoad movssStore movsdLoad movsdStore moveLowLoad moveLowStore moveHighLoad moveHighStore movhlps movlhps',
  simdTransfer: 'movdToVector movdFromVector pinsrw pextrw pmovmskb movmskps movmskpd',
  simdLogic: 'pand pandn por pxor',
  simdInteger:
    'paddb paddw paddd paddq paddsb paddsw paddusb paddusw psubb psubw psubd psubq psubsb psubsw psubusb psubusw ' +
    'pcmpeqb pcmpeqw pcmpeqd pcmpgtb pcmpgtw pcmpgtd pavgb pavgw pminub pminsw pmaxub pmaxsw psadbw',
  simdShift:
    'psrlw psrld psrlq psraw psrad psllw pslld psllq psrlwImmediate psrldImmediate psrlqImmediate psrawImmediate ' +
    'psradImmediate psllwImmediate pslldImmediate psllqImmediate psrldq pslldq',
  simdShuffle:
    'packsswb packuswb packssdw punpckhbw punpckhwd punpckhdq punpckhqdq punpcklbw punpcklwd punpckldq punpcklqdq ' +
    'movddup movsldup movshdup pshufw pshufd pshufhw pshuflw shufps shufpd unpcklps unpcklpd unpckhps unpckhpd',
  simdIntegerMultiply: 'pmullw pmulhw pmulhuw pmuludq pmaddwd',
  simdAdd:
    'addps addpd addss addsd subps subpd subss subsd minps minpd minss minsd maxps maxpd maxss maxsd ' +
    'cmpps cmppd cmpss cmpsd addsubps addsubpd haddps haddpd hsubps hsubpd',
  simdMultiply: 'mulps mulpd mulss mulsd',
  simdDivide: 'divps divpd divss divsd',
  simdSquareRoot: 'sqrtps sqrtpd sqrtss sqrtsd',
  simdEstimate: 'rcpps rcpss rsqrtps rsqrtss',
  simdConvert:
    'cvtpi2ps cvtpi2pd cvtsi2ss cvtsi2sd cvttps2pi cvttpd2pi cvttss2si cvttsd2si cvtps2pi cvtpd2pi cvtss2si cvtsd2si ' +
    'cvtps2pd cvtpd2ps cvtss2sd cvtsd2ss cvtdq2ps cvtps2dq cvttps2dq cvttpd2dq cvtdq2pd cvtpd2dq',
  simdControl: 'ldmxcsr stmxcsr',
  simdMaskMove: 'maskMove',
  simdEmpty: 'emms',
};

const compare: Properties = { cost: 'simdCompareFlags', written: COMPARE_FLAGS };

export const SIMD_PROPERTIES: Readonly<Record<string, Properties>> = {
  ...Object.fromEntries(
    Object.entries(MEANINGS_OF).flatMap(([cost, names]) =>
      names.split(' ').map((name) => [name, { cost: cost as CostClass }]),
    ),
  ),
  comiss: compare,
  comisd: compare,
  ucomiss: compare,
  ucomisd: compare,
  movnti: { cost: 'mov' },
};
