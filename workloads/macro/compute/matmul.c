/* Integer matrix product, the plain triple loop: one row-wise and one column-wise stream. */
#include "workload.h"

PROGRAM_WORKLOAD("macro/compute/matmul", "The product of two 100 x 100 integer matrices.", 12, 1, "compute,memory");

#ifdef USER_PROGRAM
#define N 100u
static u32 a[N][N], b[N][N], c[N][N];

u32 user_main(u32 operations, u32 argument)
{
	u32 sum = argument, random = 0x9e3779b9;
	for (u32 i = 0; i < N; i++)
		for (u32 j = 0; j < N; j++) {
			a[i][j] = next_random(&random);
			b[i][j] = next_random(&random);
		}
	marker_begin(REGION_MEASURED);
	for (u32 operation = 0; operation < operations; operation++) {
		for (u32 i = 0; i < N; i++)
			for (u32 j = 0; j < N; j++) {
				u32 total = 0;
				for (u32 k = 0; k < N; k++) total += a[i][k] * b[k][j];
				c[i][j] = total;
			}
		for (u32 i = 0; i < N; i++)
			for (u32 j = 0; j < N; j++) {
				sum = mix(sum, c[i][j]);
				a[i][j] ^= c[j][i];
			}
	}
	marker_end(REGION_MEASURED, operations, sum);
	return sum;
}
#endif
