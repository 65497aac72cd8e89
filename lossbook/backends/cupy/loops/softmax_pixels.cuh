// What a class of a pixel adds to the totals, and its h = p*dL/dp, all weighted.
__device__ __forceinline__ void one_class(
    const real* predictions, const Target* targets, const real* weight, long long weight_classes, long long ignore,
    int ignoring, const Parameters& parameters, const Factor* slopes, const Row& row, long long classes,
    long long inner, long long item, long long k, long long pixel, double& broken, double (&totals)[TERMS], double& h
) {
    const long long here = (item * classes + k) * inner + pixel;
    double w = 1;
    if (weight) w = checked(weight[(item * weight_classes + k % weight_classes) * inner + pixel], broken);
    const real y = target_of(targets, here, item * inner + pixel, k, classes, ignore, ignoring, w, broken);
    if (!target_holds(y) && w != 0) broken += 1;
    const real z = predictions[here], rest = rest_of_row(z, row), exps = exp_of(z, row);
    const real probability = exps / (exps + rest), complement = rest / (exps + rest);
    Factor factors[FACTORS];
    for (int j = 0; j < FACTORS; ++j) factors[j] = slopes[(item * classes + k) * FACTORS + j];
    real terms[TERMS], slope;
    step(standing_of(z, rest, row), probability, complement, y, parameters, factors, terms, slope);
    for (int j = 0; j < TERMS; ++j) totals[j] = present(w, w * terms[j]);
    h = present(w, w * slope);
}

// Totals under a softmax: one thread per pixel, and the sums of its block for each class in turn.
extern "C" __global__ void loops(
    const real* predictions, const Target* targets, const real* weight, long long weight_classes, long long ignore,
    int ignoring, Parameters parameters, const Factor* slopes, real* values, real* gradient, double* sums,
    long long classes, long long inner, long long blocks
) {
    const long long per_item = (inner + blockDim.x - 1) / blockDim.x;
    for (long long block = blockIdx.x; block < blocks; block += gridDim.x) {
        const long long item = block / per_item, tile = block % per_item;
        const long long pixel = tile * blockDim.x + threadIdx.x;
        const bool inside = pixel < inner;
        const long long first = item * classes * inner + (inside ? pixel : 0);
        const Row row = row_of(predictions + first, classes, inner);
        double total = 0;
        for (long long k = 0; k < classes; ++k) {
            double totals[TERMS] = {}, h = 0, broken = 0;
            if (inside) {
                one_class(
                    predictions, targets, weight, weight_classes, ignore, ignoring, parameters, slopes, row, classes,
                    inner, item, k, pixel, broken, totals, h);
                total += h;
            }
            double* const sums_here = sums + ((item * classes + k) * per_item + tile) * (TERMS + 1);
            for (int j = 0; j < TERMS; ++j) {
                totals[j] = sum_of_block(totals[j]);
                if (threadIdx.x == 0) sums_here[j] = totals[j];
            }
            broken = sum_of_block(broken);
            if (threadIdx.x == 0) sums_here[TERMS] = broken;
        }
        if (gradient && inside) {  // the slope along a logit is h - p*(the sum of h)
            double others = 0;
            for (long long k = 0; k < classes; ++k) {
                double totals[TERMS], h, broken = 0;
                one_class(
                    predictions, targets, weight, weight_classes, ignore, ignoring, parameters, slopes, row, classes,
                    inner, item, k, pixel, broken, totals, h);
                const real z = predictions[first + k * inner], exps = exp_of(z, row);
                const double left = h - present(total, total * (exps / (exps + rest_of_row(z, row))));
                gradient[first + k * inner] = real(left);
                if (z != row.top) others += left;
            }
            if (row.ties == 1)  // of a class in front, alone, that would cancel: it is what all others lack to 0
                for (long long k = 0; k < classes; ++k)
                    if (predictions[first + k * inner] == row.top) gradient[first + k * inner] = real(0 - others);
        }
    }
}
