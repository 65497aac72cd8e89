// The target of an element at `here`, of class `channel`; of labels, whether the label `at` is that class. The label to
// ignore weighs nothing, and one that is no class counts as broken.
__device__ __forceinline__ real target_of(
    const Target* targets, long long here, long long at, long long channel, long long classes, long long ignore,
    int ignoring, double& w, double& broken
) {
    if constexpr (LABELED) {
        const long long label = targets[at];
        if (ignoring && label == ignore) w = 0;
        if ((label < 0 || label >= classes) && w != 0) broken += 1;
        return label == channel;
    } else if constexpr (TARGETED) {
        return targets[here];
    } else {
        return 0;
    }
}
