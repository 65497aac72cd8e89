// Boxes, one thread for each; their corners stand where rows have their classes.
extern "C" __global__ void loops(
    const real* predictions, const Target* targets, const real* weight, const double* class_weight, long long ignore,
    int ignoring, Parameters parameters, double scale, real* values, real* gradient, double* sums, long long classes,
    long long inner, long long rows
) {
    over_rows(rows, classes, inner, sums, [&](long long here, long long first, RowSums& sum) {
        const double w = checked(weight ? weight[here] : 1, sum.broken);
        real box[CORNERS], target[CORNERS], value, slopes[CORNERS];
        for (int k = 0; k < CORNERS; ++k) box[k] = predictions[first + k * inner];
        for (int k = 0; k < CORNERS; ++k) target[k] = targets[first + k * inner];
        if (!prediction_holds(box[0], box[1], box[2], box[3]) && w != 0) sum.broken += 1;
        if (!target_holds(target[0], target[1], target[2], target[3]) && w != 0) sum.broken += 1;
        step(box, target, parameters, value, slopes);
        sum.value = present(w, w * value);
        sum.weight = w;
        if (values) values[here] = real(sum.value);
        if (gradient)
            for (int k = 0; k < CORNERS; ++k) gradient[first + k * inner] = real(present(w, w * scale * slopes[k]));
    });
}
