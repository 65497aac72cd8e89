// Rows whose classes do not compete: the standing of a class is its own prediction.

struct Row {};  // what a class knows of its row: nothing

__device__ __forceinline__ Row row_of(const real* predictions, long long classes, long long inner) { return {}; }

__device__ __forceinline__ real rest_of_row(real p, const Row& row) { return 0; }

__device__ __forceinline__ real standing_of(real p, real rest, const Row& row) { return p; }

struct Pulls {  // no class takes anything from another
    __device__ void add(double slope, real p, real rest, const Row& row) {}
    __device__ double top() const { return 0; }
    __device__ double rest() const { return 0; }
};

__device__ __forceinline__ double left_of(
    double slope, real p, real rest, const Row& row, double top_pull, double rest_pull
) {
    return slope;
}

// The value of a row of which only the labeled class enters; a NaN that the loss does not read must not be hidden.
__device__ __forceinline__ real with_unread(
    real value, const real* predictions, const double* class_weight, long long classes, long long inner
) {
    for (long long k = 0; k < classes; ++k) {
        const real other = predictions[k * inner];
        if (other != other && (!class_weight || class_weight[k] != 0)) value = other;
    }
    return value;
}

// Stores the slopes of such a row.
__device__ __forceinline__ void store_slopes(
    real* gradient, const real* predictions, const double* class_weight, long long classes, long long inner,
    long long label, double w, real slope, real p, real rest, const Row& row
) {
    for (long long k = 0; k < classes; ++k) {
        const real other = predictions[k * inner];
        const bool shows = other != other && w != 0 && (!class_weight || class_weight[k] != 0);
        gradient[k * inner] = shows ? other : real(0);
    }
    gradient[label * inner] = slope;
}
