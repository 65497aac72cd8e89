struct Pulls {  // what the slopes of a row take per unit of exponentials: of the classes in front, and of the rest
    Sum of_top, of_rest;
    __device__ void add(double slope, real z, real rest, const Row& row) {
        (z == row.top ? of_top : of_rest).add(pull_of(slope, rest));
    }
    __device__ double top() const { return of_top.value(); }
    __device__ double rest() const { return of_rest.value(); }
};

// The value of a row of which only the labeled class enters; its rest has seen the other classes, a NaN too.
__device__ __forceinline__ real with_unread(
    real value, const real* logits, const double* class_weight, long long classes, long long inner
) {
    return value;
}

// Stores the slopes of such a row.
__device__ __forceinline__ void store_slopes(
    real* gradient, const real* logits, const double* class_weight, long long classes, long long inner,
    long long label, double w, real slope, real z, real rest, const Row& row
) {
    const double pull = pull_of(-slope, rest);
    for (long long k = 0; k < classes; ++k) gradient[k * inner] = real(taken_from(logits[k * inner], z, pull, row));
    real& own = gradient[label * inner];
    own = slope_of_label(slope, own, pull, row);
}
