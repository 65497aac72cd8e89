// x, and 0 where the weight w is 0: what weighs nothing is not there, even if it is NaN. Weights and their products are
// double, which are rounded once, when they are stored.
__device__ __forceinline__ double present(double w, double x) { return w == 0 ? 0 : x; }

// A weight; one that is negative, infinite or NaN counts as broken.
__device__ __forceinline__ double checked(double w, double& broken) {
    if (!(w >= 0 && w < INFINITY)) broken += 1;
    return w;
}

// The sum over the threads of a block: the shuffles of each warp, then its sums in order. The first thread has it.
__device__ double sum_of_block(double value) {
    __shared__ double warps[32];
    for (int lane = 16; lane > 0; lane /= 2) value += __shfl_down_sync(0xffffffffu, value, lane);
    __syncthreads();
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
    __syncthreads();
    double total = 0;
    if (threadIdx.x == 0)
        for (int warp = 0; warp < (int)blockDim.x / 32; ++warp) total += warps[warp];
    return total;
}
