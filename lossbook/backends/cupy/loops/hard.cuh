// Rows of which only the labeled class enters, one thread for each.
extern "C" __global__ void loops(
    const real* predictions, const Target* targets, const real* weight, const double* class_weight, long long ignore,
    int ignoring, Parameters parameters, double scale, real* values, real* gradient, double* sums, long long classes,
    long long inner, long long rows
) {
    over_rows(rows, classes, inner, sums, [&](long long here, long long first, RowSums& sum) {
        const real* logits = predictions + first;
        const Row row = row_of(logits, classes, inner);
        double w = weight ? weight[here] : 1;
        w = checked(w, sum.broken);
        const long long label = label_of(targets[here], classes, ignore, ignoring, w, sum.broken);
        if (class_weight) w *= class_weight[label];
        check_predictions(logits, class_weight, classes, inner, w, sum.broken);
        const real z = logits[label * inner], rest = rest_of_row(z, row);
        real value, slope;
        step(standing_of(z, rest, row), 1, classes, parameters, value, slope);
        value = with_unread(value, logits, class_weight, classes, inner);
        sum.value = present(w, w * value);
        sum.weight = w;
        slope = real(present(w, w * scale * slope));
        if (gradient)
            store_slopes(gradient + first, logits, class_weight, classes, inner, label, w, slope, z, rest, row);
        if (values) values[here] = real(sum.value);
    });
}
