__device__ real largest_of_block(real value) {
    __shared__ real warps[32];
    for (int lane = 16; lane > 0; lane /= 2) {
        const real other = __shfl_xor_sync(0xffffffffu, value, lane);
        if (other > value) value = other;
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
    __syncthreads();
    real largest = warps[0];
    for (int warp = 1; warp < (int)blockDim.x / 32; ++warp)
        if (warps[warp] > largest) largest = warps[warp];
    return largest;
}

// The same for contiguous rows of many classes, a block of threads for each.
extern "C" __global__ void wide(
    const real* predictions, const Target* targets, const real* weight, const double* class_weight, long long ignore,
    int ignoring, Parameters parameters, double scale, real* values, real* gradient, double* sums, long long classes,
    long long inner, long long rows
) {
    __shared__ Row row;
    for (long long here = blockIdx.x; here < rows; here += gridDim.x) {
        const long long first = here * classes;
        real top = -real(INFINITY);
        for (long long k = threadIdx.x; k < classes; k += blockDim.x)
            if (predictions[first + k] > top) top = predictions[first + k];
        top = largest_of_block(top);
        Row mine = {top, 0, 0};
        for (long long k = threadIdx.x; k < classes; k += blockDim.x) {
            const real z = predictions[first + k];
            if (z == top) mine.ties += 1;
            else mine.others += exp_of(z, mine);
        }
        mine.others = sum_of_block(mine.others);
        mine.ties = sum_of_block(mine.ties);
        if (threadIdx.x == 0) row = mine;
        __syncthreads();
        double broken = 0;
        double w = weight ? weight[here] : 1;
        w = checked(w, broken);
        const long long label = label_of(targets[here], classes, ignore, ignoring, w, broken);
        if (class_weight) w *= class_weight[label];
        const real z = predictions[first + label], rest = rest_of_row(z, row);
        real value, slope;
        step(standing_of(z, rest, row), 1, classes, parameters, value, slope);
        slope = real(present(w, w * scale * slope));
        if (threadIdx.x == 0) {
            if (values) values[here] = real(present(w, w * value));
            sums[here * 3] = present(w, w * value);
            sums[here * 3 + 1] = w;
            sums[here * 3 + 2] = broken;
        }
        if (gradient) {
            const double pull = pull_of(-slope, rest);
            for (long long k = threadIdx.x; k < classes; k += blockDim.x)
                gradient[first + k] = k == label ? slope : real(taken_from(predictions[first + k], z, pull, row));
        }
        __syncthreads();
    }
}
