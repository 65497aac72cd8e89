// Each block of threads adds up BLOCK elements of a group: of a loss of totals, the pixels of an image and class; of a
// pointwise loss, all elements.
extern "C" __global__ void loops(
    const real* predictions, const Target* targets, const real* weight, long long weight_classes, long long ignore,
    int ignoring, Parameters parameters, const Factor* slopes, real* values, real* gradient, double* sums,
    long long classes, long long inner, long long blocks
) {
    const long long per_group = (inner + BLOCK - 1) / BLOCK;
    for (long long block = blockIdx.x; block < blocks; block += gridDim.x) {
        const long long group = block / per_group, start = block % per_group * BLOCK;
        const long long item = group / classes, channel = group % classes;
        const long long stop = start + BLOCK < inner ? start + BLOCK : inner;
        Factor factors[FACTORS];
        for (int j = 0; j < FACTORS; ++j) factors[j] = slopes[group * FACTORS + j];
        double totals[TERMS] = {}, broken = 0;
        for (long long i = start + threadIdx.x; i < stop; i += blockDim.x) {
            const long long here = group * inner + i;
            const real z = predictions[here];
            double w = 1;
            if (weight) w = checked(weight[(item * weight_classes + channel % weight_classes) * inner + i], broken);
            const real y = target_of(targets, here, item * inner + i, channel, classes, ignore, ignoring, w, broken);
            if (!prediction_holds(z) && w != 0) broken += 1;
            if (!target_holds(y) && w != 0) broken += 1;
            real terms[TERMS], slope;
            step(z, y, parameters, factors, terms, slope);
            for (int j = 0; j < TERMS; ++j) totals[j] += present(w, w * terms[j]);
            if (values) values[here] = real(present(w, w * terms[0]));
            if (gradient) gradient[here] = real(present(w, (POINTWISE ? w * factors[0] : w) * slope));
        }
        for (int j = 0; j < TERMS; ++j) {
            totals[j] = sum_of_block(totals[j]);
            if (threadIdx.x == 0) sums[block * (TERMS + 1) + j] = totals[j];
        }
        broken = sum_of_block(broken);
        if (threadIdx.x == 0) sums[block * (TERMS + 1) + TERMS] = broken;
    }
}
