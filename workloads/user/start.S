/* First bytes of a user program: the header the kernel reads, then the call of user_main with the kernel's arguments. */
	.section .start, "ax"
	.long	0x56495254
	.long	start
	.long	user_file_end
	.long	user_end
	.globl	start
start:
	/* The kernel leaves (operations, argument) on the stack as a caller would. */
	call	user_main
	movl	%eax, %ebx
	xorl	%eax, %eax
	int	$0x80
1:	jmp	1b
	.section .note.GNU-stack, "", @progbits
