/*
 * void enter_real(void): protected mode without paging to real mode, the state in `in` (words, but general registers), and
 * back from the first interrupt or exception. The part that runs in real mode is copied to REAL_STUBS first and addresses
 * itself from there.
 */
#include "layout.h"
#define HERE(label) (label - real_begin)
#define SAVED(at) (REAL_SAVED - REAL_STUBS + (at))

	.text
	.globl	enter_real
enter_real:
	pushal
	movl	%esp, real_esp
	lidt	real_idtr
	/* What is loaded in real mode: the frame for IRET lies in the target's stack already. */
	movl	$REAL_DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%eax, %ss
	ljmp	$REAL_CODE, $0

	.globl	real_begin
	.globl	real_end
	.code16
	/* Offset 0: entry. CS is REAL_CODE with base REAL_STUBS. */
real_begin:
	movl	%cr0, %eax
	andb	$0xfe, %al
	movl	%eax, %cr0
	ljmp	$(REAL_STUBS >> 4), $HERE(1f)
1:	movw	%cs, %ax
	movw	%ax, %ds
	lssw	SAVED(AT_ESP + 128), %sp
	movl	SAVED(AT_ECX + 128), %ecx
	movl	SAVED(AT_EDX + 128), %edx
	movl	SAVED(AT_EBX + 128), %ebx
	movl	SAVED(AT_EBP + 128), %ebp
	movl	SAVED(AT_ESI + 128), %esi
	movl	SAVED(AT_EDI + 128), %edi
	movw	SAVED(AT_ES + 128), %es
	movw	SAVED(AT_FS + 128), %fs
	movw	SAVED(AT_GS + 128), %gs
	movl	SAVED(AT_EAX + 128), %eax
	movw	SAVED(AT_DS + 128), %ds
	iretw

	/* Stubs of 8 bytes at offset 0x100: one for each vector below 64. */
	.org	real_begin + 0x100
	vector = 0
	.rept	64
	.org	real_begin + 0x100 + vector * 8
	pushw	$vector
	jmp	real_caught
	vector = vector + 1
	.endr

real_caught:
	pushw	%ds
	pushw	%cs
	popw	%ds
	popw	SAVED(AT_DS)
	popw	SAVED(AT_VECTOR)
	popw	SAVED(AT_EIP)
	popw	SAVED(AT_CS)
	popw	SAVED(AT_EFLAGS)
	movl	%eax, SAVED(AT_EAX)
	movl	%ecx, SAVED(AT_ECX)
	movl	%edx, SAVED(AT_EDX)
	movl	%ebx, SAVED(AT_EBX)
	movl	%ebp, SAVED(AT_EBP)
	movl	%esi, SAVED(AT_ESI)
	movl	%edi, SAVED(AT_EDI)
	movl	%esp, SAVED(AT_ESP)
	movw	%ss, SAVED(AT_SS)
	movw	%es, SAVED(AT_ES)
	movw	%fs, SAVED(AT_FS)
	movw	%gs, SAVED(AT_GS)
	pushfl
	popl	SAVED(AT_HANDLER_FLAGS)
	cli
	lgdtl	HERE(real_gdtr)
	movl	%cr0, %eax
	movl	%eax, SAVED(AT_CR0)
	movl	$CR0_PE | CR0_ET, %eax
	movl	%eax, %cr0
	ljmpl	$SUP_CODE, $real_leave
real_gdtr:
	.word	GDT_BYTES - 1
	.long	GDT
real_end:
	.code32

real_leave:
	movl	$SUP_DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%eax, %ss
	movl	real_esp, %esp
	pushl	$2
	popfl
	lidt	supervisor_idtr
	popal
	ret

	.data
	.balign	4
	.word	0
real_idtr:
	.word	0x3ff
	.long	0
	.bss
	.balign	4
real_esp:
	.long	0
	.section .note.GNU-stack, "", @progbits
