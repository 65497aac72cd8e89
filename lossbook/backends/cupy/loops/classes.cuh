// The label of a row. The label to ignore weighs nothing, nor does one that is no class, which counts as broken.
__device__ __forceinline__ long long label_of(
    long long label, long long classes, long long ignore, int ignoring, double& w, double& broken
) {
    if (ignoring && label == ignore) w = 0;
    if (label < 0 || label >= classes) {
        if (w != 0) broken += 1;
        w = 0;
        label = 0;
    }
    return label;
}

// Counts the predictions of a row that break their rule and weigh something.
__device__ __forceinline__ void check_predictions(
    const real* predictions, const double* class_weight, long long classes, long long inner, double w, double& broken
) {
    if constexpr (PREDICTION_CHECKED)
        for (long long k = 0; k < classes; ++k)
            if (!prediction_holds(predictions[k * inner]) && w * (class_weight ? class_weight[k] : 1) != 0) broken += 1;
}
