// The slope of a class per unit of its rivals' exponentials; a class without slope takes nothing, even from a NaN.
__device__ __forceinline__ double pull_of(double slope, double rest) {
    return rest == 0 || slope == 0 ? 0 : slope / rest;
}
