/* Multiboot entry: protected mode, paging off. Then the entry into code under test, and the stubs that end it. */
#include "layout.h"

	.section .start, "ax"
	.align	4
	.long	0x1badb002
	.long	0x00000002
	.long	-(0x1badb002 + 0x00000002)

	.globl	start
start:
	movl	$supervisor_stack, %esp
	pushl	$2
	popfl
	pushl	%ebx
	call	main
1:	cli
	hlt
	jmp	1b

/*
 * void enter(void): loads the state in `in`. The frame is built on the stack of the code under test, or on the
 * supervisor's if IRET changes the ring; CS is readable, which is how the registers come last.
 */
	.text
	.globl	enter
enter:
	pushal
	movl	%esp, supervisor_esp
	movl	in + AT_CR4, %eax
	movl	%eax, %cr4
	movl	in + AT_CR3, %eax
	movl	%eax, %cr3
	movl	in + AT_CR0, %eax
	movl	%eax, %cr0
	testl	$FLAG_VM, in + AT_EFLAGS
	jnz	1f
	testb	$3, in + AT_CS
	jnz	2f
	movl	in + AT_SS, %eax
	movl	%eax, %ss
	movl	in + AT_ESP, %esp
	jmp	3f
1:	pushl	in + AT_GS
	pushl	in + AT_FS
	pushl	in + AT_DS
	pushl	in + AT_ES
2:	pushl	in + AT_SS
	pushl	in + AT_ESP
3:	pushl	in + AT_EFLAGS
	pushl	in + AT_CS
	pushl	in + AT_EIP
	movl	in + AT_ECX, %ecx
	movl	in + AT_EDX, %edx
	movl	in + AT_EBX, %ebx
	movl	in + AT_EBP, %ebp
	movl	in + AT_ESI, %esi
	movl	in + AT_EDI, %edi
	testl	$FLAG_VM, in + AT_EFLAGS
	jnz	4f
	movl	in + AT_ES, %eax
	movl	%eax, %es
	movl	in + AT_FS, %eax
	movl	%eax, %fs
	movl	in + AT_GS, %eax
	movl	%eax, %gs
	movl	in + AT_DS, %eax
	movl	%eax, %ds
4:	movl	%cs:in + AT_EAX, %eax
	iret

/* IDT_VECTORS stubs of 16 bytes. Those of exceptions without an error code push a zero. */
	.globl	stubs
	.balign	16
stubs:
	vector = 0
	.rept	IDT_VECTORS
	.balign	16
	.if	(vector != 8) && ((vector < 10) || (vector > 14)) && (vector != 17)
	pushl	$0
	.endif
	pushl	$vector
	jmp	caught
	vector = vector + 1
	.endr

	.balign	16
caught:
	pushl	%eax
	pushl	%ds
	movl	$SUP_DATA, %eax
	movl	%eax, %ds
	popl	out + AT_DS
	popl	out + AT_EAX
	pushfl
	popl	out + AT_HANDLER_FLAGS
	popl	out + AT_VECTOR
	movl	%ecx, out + AT_ECX
	movl	%edx, out + AT_EDX
	movl	%ebx, out + AT_EBX
	movl	%ebp, out + AT_EBP
	movl	%esi, out + AT_ESI
	movl	%edi, out + AT_EDI
	movl	%es, %eax
	movl	%eax, out + AT_ES
	movl	%fs, %eax
	movl	%eax, out + AT_FS
	movl	%gs, %eax
	movl	%eax, out + AT_GS
	movl	$0, by_task
	cmpl	$0, frame16
	jne	caught16
	popl	out + AT_ERROR
	movl	%esp, out + AT_FRAME
	movl	%ss, %eax
	movl	%eax, out + AT_FRAME_SS
	popl	out + AT_EIP
	popl	out + AT_CS
	popl	out + AT_EFLAGS
	testl	$FLAG_VM, out + AT_EFLAGS
	jnz	1f
	testb	$3, out + AT_CS
	jnz	2f
	movl	%esp, out + AT_ESP
	movl	%ss, %eax
	movl	%eax, out + AT_SS
	jmp	recover
1:	popl	out + AT_ESP
	popl	out + AT_SS
	popl	out + AT_ES
	popl	out + AT_DS
	popl	out + AT_FS
	popl	out + AT_GS
	jmp	recover
2:	popl	out + AT_ESP
	popl	out + AT_SS
	jmp	recover

/* The frame, and the error code if the processor pushed one, consists of words. */
caught16:
	movl	out + AT_VECTOR, %eax
	cmpl	$17, %eax
	ja	1f
	btl	%eax, has_error_code
	jnc	1f
	movl	$0, out + AT_ERROR
	popw	out + AT_ERROR
	jmp	2f
1:	popl	out + AT_ERROR
2:	movl	%esp, out + AT_FRAME
	movl	%ss, %eax
	movl	%eax, out + AT_FRAME_SS
	movl	$0, out + AT_EIP
	movl	$0, out + AT_CS
	movl	$0, out + AT_EFLAGS
	popw	out + AT_EIP
	popw	out + AT_CS
	popw	out + AT_EFLAGS
	testb	$3, out + AT_CS
	jnz	3f
	movl	%esp, out + AT_ESP
	movl	%ss, %eax
	movl	%eax, out + AT_SS
	jmp	recover
3:	movl	$0, out + AT_ESP
	movl	$0, out + AT_SS
	popw	out + AT_ESP
	popw	out + AT_SS

/* Back to the supervisor's state, whatever there is now but flat DS and CPL 0. */
	.globl	recover
recover:
	movzbl	GDT + SUP_TSS + 5, %eax
	movl	%eax, out + AT_OLD_TSS
	movl	$SUP_DATA, %eax
	movl	%eax, %ss
	movl	supervisor_esp, %esp
	pushl	$2
	popfl
	ljmp	$SUP_CODE, $1f
1:	movl	%cr0, %eax
	movl	%eax, out + AT_CR0
	movl	%cr2, %eax
	movl	%eax, out + AT_CR2
	movl	%cr3, %eax
	movl	%eax, out + AT_CR3
	movl	%cr4, %eax
	movl	%eax, out + AT_CR4
	movl	%dr6, %eax
	movl	%eax, out + AT_DR6
	movl	%dr7, %eax
	movl	%eax, out + AT_DR7
	xorl	%eax, %eax
	movl	%eax, %dr7
	movl	%eax, %dr6
	str	%eax
	movl	%eax, out + AT_TR
	sldt	%eax
	movl	%eax, out + AT_LDTR
	movl	$CR0_PE | CR0_ET, %eax
	movl	%eax, %cr0
	xorl	%eax, %eax
	movl	%eax, %cr4
	lgdt	supervisor_gdtr
	lidt	supervisor_idtr
	lldt	%ax
	movl	$SUP_DATA, %eax
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	andb	$0xfd, GDT + SUP_TSS + 5
	movl	$SUP_TSS, %eax
	ltr	%ax
	popal
	ret

/* Enters by the task gate of #DF: what was interrupted is in the old task's TSS. */
	.globl	double_fault_task
double_fault_task:
	popl	out + AT_ERROR
	movl	$8, out + AT_VECTOR
	movl	$1, by_task
	movl	$TSS, %edx
	movl	0x20(%edx), %eax
	movl	%eax, out + AT_EIP
	movl	0x24(%edx), %eax
	movl	%eax, out + AT_EFLAGS
	movl	0x38(%edx), %eax
	movl	%eax, out + AT_ESP
	movzwl	0x4c(%edx), %eax
	movl	%eax, out + AT_CS
	movzwl	0x50(%edx), %eax
	movl	%eax, out + AT_SS
	jmp	recover

/* The same for tasks that a case enters: state by the processor, `by_task` says which. */
	.globl	load_tables
load_tables:
	lgdt	supervisor_gdtr
	lidt	supervisor_idtr
	ljmp	$SUP_CODE, $1f
1:	movl	$SUP_DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %fs
	movl	%eax, %gs
	movl	%eax, %ss
	movl	$SUP_TSS, %eax
	ltr	%ax
	ret

	.data
	.balign	4
	.globl	supervisor_gdtr
	.globl	supervisor_idtr
	.word	0
supervisor_gdtr:
	.word	GDT_BYTES - 1
	.long	GDT
	.word	0
supervisor_idtr:
	.word	IDT_VECTORS * 8 - 1
	.long	IDT
/* Vectors 8, 10 to 14 and 17. */
has_error_code:
	.long	0x27d00

	.bss
	.balign	16
	.globl	in
	.globl	out
	.globl	frame16
	.globl	by_task
in:	.skip	128
out:	.skip	128
frame16:
	.long	0
by_task:
	.long	0
supervisor_esp:
	.long	0
	.skip	16384
supervisor_stack:
	.section .note.GNU-stack, "", @progbits
