// Rows in which the standing u of a class is its logit minus the largest: it competes with that.

struct Row {  // the largest logit of a row, and how many are largest
    real top;
    double ties;
};

__device__ __forceinline__ real exp_of(real z, const Row& row) {
    return row.top == row.top ? real(z == row.top) : row.top;
}

__device__ __forceinline__ Row row_of(const real* logits, long long classes, long long inner) {
    Row row = {-real(INFINITY), 0};
    for (long long k = 0; k < classes; ++k) {
        const real z = logits[k * inner];
        if (z > row.top || z != z) row.top = z;  // a NaN stays in front
    }
    for (long long k = 0; k < classes; ++k) row.ties += logits[k * inner] == row.top;
    return row;
}

__device__ __forceinline__ real rest_of_row(real z, const Row& row) {
    return row.top == row.top ? real(row.ties) : row.top;
}

// The logit of a class minus the largest.
__device__ __forceinline__ real standing_of(real z, real rest, const Row& row) {
    return z == row.top ? real(0) : z - row.top;
}

// Of the labeled class alone: what its slope takes from a rival, and its own slope, after what it took from itself.
__device__ __forceinline__ double taken_from(real other, real z, double pull, const Row& row) {
    return present(pull, pull * exp_of(other, row));
}

__device__ __forceinline__ real slope_of_label(real slope, real taken, double pull, const Row& row) {
    return taken + slope;
}

// What is left of the slope of a class after what the slopes of its rivals take. Of a class alone in front nothing
// is: what it gains as itself, it loses as its own rival.
__device__ __forceinline__ double left_of(
    double slope, real z, real rest, const Row& row, double top_pull, double rest_pull
) {
    const double own = pull_of(slope, rest);
    return row.top != row.top ? row.top : z == row.top ? slope - own - (rest_pull + (top_pull - own)) : slope;
}
