// The target of a class of a row: its share, or whether the label is that class.
__device__ __forceinline__ real share_of(const Target* targets, long long at, long long label, long long k) {
    if constexpr (LABELED) return label == k;
    else return targets[at];
}

// Rows of which every class enters, one thread for each.
extern "C" __global__ void loops(
    const real* predictions, const Target* targets, const real* weight, const double* class_weight, long long ignore,
    int ignoring, Parameters parameters, double scale, real* values, real* gradient, double* sums, long long classes,
    long long inner, long long rows
) {
    over_rows(rows, classes, inner, sums, [&](long long here, long long first, RowSums& row_sums) {
        const real* logits = predictions + first;
        const Row row = row_of(logits, classes, inner);
        double w = weight ? weight[here] : 1;
        w = checked(w, row_sums.broken);
        long long label = 0;
        if constexpr (LABELED) label = label_of(targets[here], classes, ignore, ignoring, w, row_sums.broken);
        check_predictions(logits, class_weight, classes, inner, w, row_sums.broken);
        Pulls pulls = {};
        Sum shares = {0, 0}, sum = {0, 0};
        for (long long k = 0; k < classes; ++k) {
            const real z = logits[k * inner], y = share_of(targets, first + k * inner, label, k);
            const double of_class = class_weight ? class_weight[k] : 1;
            if (!target_holds(y) && w * of_class != 0) row_sums.broken += 1;
            const real rest = rest_of_row(z, row);
            real value, slope;
            step(standing_of(z, rest, row), y, classes, parameters, value, slope);
            sum.add(present(of_class, of_class * value));
            shares.add(present(of_class, of_class * y));
            pulls.add(present(of_class, of_class * slope), z, rest, row);
        }
        const double top_pull = pulls.top(), rest_pull = pulls.rest();
#if OF_ROW
        const double beyond = row.others + (row.ties - 1);  // the exponentials of all but one of the largest
        real value_of_row, slope_of_row;
        of_row(real(row.top + log1p(beyond)), classes, parameters, value_of_row, slope_of_row);
        sum.add(value_of_row);
        const double pull_of_row = slope_of_row / (1 + beyond);
#endif
        row_sums.value = present(w, w * sum.value());
        row_sums.weight = class_weight ? present(w, w * shares.value()) : w;
        if (gradient) {
            for (long long k = 0; k < classes; ++k) {
                const real z = logits[k * inner], y = share_of(targets, first + k * inner, label, k);
                const double of_class = class_weight ? class_weight[k] : 1;
                const real rest = rest_of_row(z, row);
                real value, slope;
                step(standing_of(z, rest, row), y, classes, parameters, value, slope);
                double left = left_of(present(of_class, of_class * slope), z, rest, row, top_pull, rest_pull);
#if OF_ROW
                if (exp_of(z, row) != 0 || pull_of_row != pull_of_row) left += pull_of_row * exp_of(z, row);
#endif
                gradient[first + k * inner] = real(present(w, w * scale * left));
            }
        }
        if (values) values[here] = real(row_sums.value);
    });
}
