// Rows in which the standing u of a class is its log-odds: it competes with all others together.

struct Row {  // exp(logit - largest logit) of a row, summed without the largest, and how many are largest
    real top;
    double others, ties;
};

__device__ __forceinline__ real exp_of(real z, const Row& row) {
    return words::exp(z == row.top ? real(0) : z - row.top);
}

__device__ __forceinline__ Row row_of(const real* logits, long long classes, long long inner) {
    Row row = {-real(INFINITY), 0, 0};
    Sum others = {0, 0};
    for (long long k = 0; k < classes; ++k) {
        const real z = logits[k * inner];
        if (z > row.top) row.top = z;
    }
    for (long long k = 0; k < classes; ++k) {
        const real z = logits[k * inner];
        if (z == row.top) row.ties += 1;
        else others.add(exp_of(z, row));
    }
    row.others = others.value();
    return row;
}

// The sum of the exponentials of all classes but one: the largest is left out exactly, never subtracted.
__device__ __forceinline__ real rest_of_row(real z, const Row& row) {
    return real(z == row.top ? row.others + (row.ties - 1) : row.others + (row.ties - exp_of(z, row)));
}

// The log-odds of a class.
__device__ __forceinline__ real standing_of(real z, real rest, const Row& row) {
    return (z == row.top ? real(0) : z - row.top) - words::log(rest);
}

// Of the labeled class alone: what its slope takes from a rival, and its own slope.
__device__ __forceinline__ double taken_from(real other, real z, double pull, const Row& row) {
    return present(pull, pull * exp_of(other, row));
}

__device__ __forceinline__ real slope_of_label(real slope, real taken, double pull, const Row& row) { return slope; }

// What is left of the slope of a class after what the slopes of its rivals take.
__device__ __forceinline__ double left_of(
    double slope, real z, real rest, const Row& row, double top_pull, double rest_pull
) {
    const double own = pull_of(slope, rest);
    return slope - exp_of(z, row) * (z == row.top ? rest_pull + (top_pull - own) : top_pull + (rest_pull - own));
}
