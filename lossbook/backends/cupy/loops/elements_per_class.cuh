// Each block of threads adds up BLOCK elements, of which each has the parameters of its class.
extern "C" __global__ void loops(
    const real* predictions, const Target* targets, const real* weight, const real* of_classes, const Factor* slopes,
    real* values, real* gradient, double* sums, long long classes, long long inner, long long elements,
    long long blocks
) {
    const Factor factors[FACTORS] = {slopes[0]};
    for (long long block = blockIdx.x; block < blocks; block += gridDim.x) {
        const long long start = block * BLOCK, stop = start + BLOCK < elements ? start + BLOCK : elements;
        double total = 0, broken = 0;
        for (long long i = start + threadIdx.x; i < stop; i += blockDim.x) {
            const real z = predictions[i];
            double w = 1;
            if (weight) w = checked(weight[i], broken);
            const real y = TARGETED ? targets[i] : real(0);
            if (!prediction_holds(z) && w != 0) broken += 1;
            if (!target_holds(y) && w != 0) broken += 1;
            real terms[TERMS], slope;
            step(z, y, parameters_of(of_classes, classes, i / inner % classes), factors, terms, slope);
            total += present(w, w * terms[0]);
            if (values) values[i] = real(present(w, w * terms[0]));
            if (gradient) gradient[i] = real(present(w, w * factors[0] * slope));
        }
        total = sum_of_block(total);
        broken = sum_of_block(broken);
        if (threadIdx.x == 0) {
            sums[block * 2] = total;
            sums[block * 2 + 1] = broken;
        }
    }
}
