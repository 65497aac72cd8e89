// Rows in which the standing u of a class is its logit minus the largest of the others: it competes with that.

struct Row {  // the largest logit of a row and the largest behind it, and how many are as large
    real top, runner_up;
    double ties, runners_up;
};

__device__ __forceinline__ Row row_of(const real* logits, long long classes, long long inner) {
    Row row = {-real(INFINITY), -real(INFINITY), 0, 0};
    for (long long k = 0; k < classes; ++k) {
        const real z = logits[k * inner];
        if (z > row.top || z != z) row.top = z;  // a NaN stays in front
    }
    for (long long k = 0; k < classes; ++k) {
        const real z = logits[k * inner];
        row.ties += z == row.top;
        if (z < row.top && z > row.runner_up) row.runner_up = z;
    }
    for (long long k = 0; k < classes; ++k) row.runners_up += logits[k * inner] == row.runner_up;
    return row;
}

// The largest logit of the other classes.
__device__ __forceinline__ real front_of(real z, const Row& row) {
    return z == row.top && row.ties == 1 ? row.runner_up : row.top;
}

__device__ __forceinline__ real rest_of_row(real z, const Row& row) {
    if (row.top != row.top) return row.top;
    return real(z != row.top ? row.ties : row.ties == 1 ? row.runners_up : row.ties - 1);
}

// The logit of a class minus the largest of the others.
__device__ __forceinline__ real standing_of(real z, real rest, const Row& row) {
    const real front = front_of(z, row);
    return z == front ? real(0) : z - front;
}

// Of the labeled class alone: what its slope takes from a rival, and its own slope.
__device__ __forceinline__ double taken_from(real other, real z, double pull, const Row& row) {
    return other < front_of(z, row) ? 0 : pull;
}

__device__ __forceinline__ real slope_of_label(real slope, real taken, double pull, const Row& row) {
    return row.top == row.top ? slope : real(pull);
}

// What is left of the slope of a class after what the slopes of its rivals take.
__device__ __forceinline__ double left_of(
    double slope, real z, real rest, const Row& row, double top_pull, double rest_pull
) {
    const double in_front = rest_pull + (row.ties == 1 ? 0 : top_pull - pull_of(slope, rest));
    const bool follows = row.ties == 1 && z == row.runner_up;
    return row.top != row.top ? row.top : slope - (z == row.top ? in_front : follows ? top_pull : 0);
}
