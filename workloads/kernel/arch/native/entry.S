/*
 * Entry stubs. Each pushes what the processor did not, so that every trap leaves one trap frame (trap-frame.h). The data
 * segments are saved and reloaded, as a kernel must that does not trust its user's.
 */
#define USER_DATA 0x23
#define USER_CODE 0x1b

	.macro save
	pushl	%ds
	pushl	%es
	pushal
	movl	$USER_DATA, %eax
	movl	%eax, %ds
	movl	%eax, %es
	.endm

	.macro restore
	popal
	popl	%es
	popl	%ds
	addl	$8, %esp		/* vector, error */
	.endm

	.text
	.globl	trap_stubs
	/* 48 stubs of 16 bytes: 32 exceptions and 16 interrupts. */
	.balign	16
trap_stubs:
	vector = 0
	.rept	48
	.balign	16
	.if	(vector != 8) && ((vector < 10) || (vector > 14)) && (vector != 17)
	pushl	$0
	.endif
	pushl	$vector
	jmp	common
	vector = vector + 1
	.endr

	.balign	16
common:
	save
	pushl	%esp
	call	trap
	addl	$4, %esp
	restore
	iret

	.globl	syscall_stub
	.balign	16
syscall_stub:
	pushl	$0
	pushl	$0x80
	save
	pushl	%esp
	call	system_call
	addl	$4, %esp
	restore
	iret

	/* ESP points to the TSS's ESP0 slot; the user's EIP and ESP come in EDX and ECX. Interrupts are off. */
	.globl	sysenter_stub
	.balign	16
sysenter_stub:
	movl	(%esp), %esp
	sti
	pushl	$USER_DATA
	pushl	%ecx
	pushfl
	pushl	$USER_CODE
	pushl	%edx
	pushl	$0
	pushl	$0x80
	save
	pushl	%esp
	call	system_call
	addl	$4, %esp
	restore
	movl	(%esp), %edx
	movl	12(%esp), %ecx
	sysexit

	/*
	 * u32 enter_user(const struct trap_frame *frame): leaves the caller's state on the stack, makes what is below it the
	 * stack for traps from ring 3, and goes there. leave_user(value) takes that state up again.
	 */
	.globl	enter_user
	.balign	16
enter_user:
	pushl	%ebp
	pushl	%ebx
	pushl	%esi
	pushl	%edi
	pushl	resume_stack
	movl	%esp, resume_stack
	movl	24(%esp), %esi
	cmpl	%esp, trap_stack
	je	1f
	movl	%esp, trap_stack
	pushl	%esp
	call	arch_set_kernel_stack
	addl	$4, %esp
1:	subl	$68, %esp		/* sizeof(struct trap_frame) */
	movl	%esp, %edi
	movl	$17, %ecx
	rep movsl
	restore
	iret

	.globl	leave_user
	.balign	16
leave_user:
	movl	4(%esp), %eax
	movl	resume_stack, %esp
	popl	resume_stack
	popl	%edi
	popl	%esi
	popl	%ebx
	popl	%ebp
	ret

	.bss
	.balign	4
resume_stack:
	.long	0
trap_stack:
	.long	0
	.section .note.GNU-stack, "", @progbits
