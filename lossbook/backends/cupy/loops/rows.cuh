struct RowSums {  // what a row adds to the sums of its block
    double value, weight, broken;
};

// One thread per row: body(here, first, sums of the row), whose classes stand from `first` on, `inner` apart.
template <class Body>
__device__ __forceinline__ void over_rows(
    long long rows, long long classes, long long inner, double* sums, const Body& body
) {
    const long long blocks = (rows + blockDim.x - 1) / blockDim.x;
    for (long long block = blockIdx.x; block < blocks; block += gridDim.x) {
        const long long here = block * blockDim.x + threadIdx.x;
        RowSums row = {0, 0, 0};
        if (here < rows) body(here, here / inner * classes * inner + here % inner, row);
        row.value = sum_of_block(row.value);
        row.weight = sum_of_block(row.weight);
        row.broken = sum_of_block(row.broken);
        if (threadIdx.x == 0) {
            sums[block * 3] = row.value;
            sums[block * 3 + 1] = row.weight;
            sums[block * 3 + 2] = row.broken;
        }
    }
}
