// The words in CUDA C++, for NVRTC: no header is included and none is needed.
//
// The text that includes this file first says
//
//     typedef float real;         or   typedef double real;
//     #define REAL_IS_FLOAT 1     or   #define REAL_IS_FLOAT 0
//
// Kernels call words with their namespace: words::softplus(x). Never write `using namespace words`: exp, log
// and their like would then be ambiguous with CUDA's own functions of the same names, in both types.
//
// Accuracy, where the exact value is a normal number and no function of the math library errs by more than 1 ulp:
// 4 ulp; kl_div 8; power and sigmoid_power (k up to 10) 4 + abs(log(result)); power_slope only where
// b**(k - 1) is normal too. A library that errs by 1.5 ulp, as CUDA's may, costs 1 ulp more; sigmoid_power, which
// magnifies the error of exp, may then reach 4 + 4*abs(log(result)). --use_fast_math errs by far more: never give it.
// No word depends on whether the compiler contracts products and sums: --fmad may be on, as it is by default, or off.
//
// Every word is total. NaN in gives NaN out, except that a factor or exponent that says "nothing" wins: power(b, 0),
// sigmoid_power(x, 0), and power_slope(b, 0) do not look at their other argument; weighted(0, x) looks for NaN.

// WORDS_LIBRARY(exp) is expf or exp. A text may define it first, to prove what errors of the library cost.
#ifndef WORDS_LIBRARY
#if REAL_IS_FLOAT
#define WORDS_LIBRARY(name) ::name##f
#else
#define WORDS_LIBRARY(name) ::name
#endif
#endif

namespace words {

#if REAL_IS_FLOAT
constexpr real largest = 3.40282347e+38f;
constexpr real smallest_normal = 1.17549435e-38f;
constexpr real normal_limit = 87;  // beyond this, exp(-x) is subnormal or nearly so
#else
constexpr real largest = 1.7976931348623157e+308;
constexpr real smallest_normal = 2.2250738585072014e-308;
constexpr real normal_limit = 708;
#endif

__device__ __forceinline__ real not_a_number() { return WORDS_LIBRARY(nan)(""); }

__device__ __forceinline__ real fused(real a, real b, real c) { return WORDS_LIBRARY(fma)(a, b, c); }

// --- functions of the math library, in the working type -------------------------------------------------------------

__device__ __forceinline__ real exp(real x) { return WORDS_LIBRARY(exp)(x); }

__device__ __forceinline__ real log(real x) { return WORDS_LIBRARY(log)(x); }

__device__ __forceinline__ real log1p(real x) { return WORDS_LIBRARY(log1p)(x); }

__device__ __forceinline__ real expm1(real x) { return WORDS_LIBRARY(expm1)(x); }

__device__ __forceinline__ real sqrt(real x) { return WORDS_LIBRARY(sqrt)(x); }

__device__ __forceinline__ real arctan(real x) { return WORDS_LIBRARY(atan)(x); }

__device__ __forceinline__ real tanh(real x) { return WORDS_LIBRARY(tanh)(x); }

__device__ __forceinline__ real absolute(real x) { return WORDS_LIBRARY(fabs)(x); }

// --- pieces with a kink ---------------------------------------------------------------------------------------------

// fmax and fmin would drop a NaN.
__device__ __forceinline__ real maximum(real a, real b) { return a < b || b != b ? b : a; }

__device__ __forceinline__ real minimum(real a, real b) { return b < a || b != b ? b : a; }

__device__ __forceinline__ real less(real a, real b) { return a < b ? real(1) : real(0); }

__device__ __forceinline__ real step(real a, real b) {
    return a < b ? real(1) : b < a ? real(0) : a == b ? real(0.5) : a + b;
}

__device__ __forceinline__ real sign(real x) {
    return x > 0 ? real(1) : x < 0 ? real(-1) : x == 0 ? real(0) : x;
}

// --- two intervals ---------------------------------------------------------------------------------------------------

// The length that two intervals share, or minus the gap between them.
__device__ __forceinline__ real reach(real low, real high, real other_low, real other_high) {
    return minimum(high, other_high) - maximum(low, other_low);
}

__device__ __forceinline__ real shared(real low, real high, real other_low, real other_high) {
    return maximum(reach(low, high, other_low, other_high), real(0));
}

__device__ __forceinline__ real gap(real low, real high, real other_low, real other_high) {
    return maximum(-reach(low, high, other_low, other_high), real(0));
}

// Slopes along high: the mean of the slopes upwards and, if low < high, downwards.
__device__ __forceinline__ real shared_slope(real low, real high, real other_low, real other_high) {
    const real length = reach(low, high, other_low, other_high);
    const real up = high < other_high && length >= 0 ? real(0.5) : real(0);
    const real down = high <= other_high && length > 0 ? real(0.5) : real(0);
    return up + (low < high ? down : up);
}

__device__ __forceinline__ real gap_slope(real low, real high, real other_low, real other_high) {
    const real length = reach(low, high, other_low, other_high);
    const real up = high < other_high && length < 0 ? real(0.5) : real(0);
    const real down = high <= other_high && length <= 0 ? real(0.5) : real(0);
    return -(up + (low < high ? down : up));
}

// --- products and quotients -----------------------------------------------------------------------------------------

__device__ __forceinline__ real lerp(real p, real q, real a) { return (real(1) - a) * p + a * q; }

__device__ __forceinline__ real square(real x) { return x * x; }

// w*x, and 0 where w is 0, however large x is.
__device__ __forceinline__ real weighted(real w, real x) { return w == 0 && x == x ? real(0) : w * x; }

// x*log(y), and 0 where x is 0, unless y is NaN.
__device__ __forceinline__ real xlogy(real x, real y) { return x == 0 && y == y ? real(0) : x * log(y); }

__device__ __forceinline__ real quotient(real a, real b) { return a == 0 && b == b ? real(0) : a / b; }

// The angle whose tangent is y/x, for x >= 0.
__device__ __forceinline__ real arctan2(real y, real x) { return arctan(quotient(y, x)); }

// a*d - b*c (W. Kahan's algorithm: what the rounding of one product lost is added).
__device__ __forceinline__ real determinant(real a, real b, real c, real d) {
    const real product = b * c;
    return fused(a, d, -product) + fused(-b, c, product);
}

// p - q, which is d.
__device__ __forceinline__ real difference(real p, real q, real d) { return d; }
// w*(a/b): a subnormal b would overflow the ratio, where a small w may bring it back.
__device__ __forceinline__ real weighted_quotient(real w, real a, real b) {
    const real lift = absolute(b) < smallest_normal ? real(1 << 24) * (REAL_IS_FLOAT ? 1 : 1 << 30) : real(1);
    return weighted(w * lift, quotient(a, b * lift));
}

__device__ __forceinline__ real reciprocal(real b) { return b == 0 ? real(0) : real(1) / b; }

// a/(a + b) for a, b >= 0, and 0 where both are 0.
__device__ __forceinline__ real share(real a, real b) {
    const real sum = a + b;
    if (sum == 0) return 0;
    if (sum <= largest) return a / sum;
    if (a > largest && b <= largest) return 1;
    return (a / 2) / (a / 2 + b / 2);  // the sum of two finite numbers overflowed, or b is infinite, or one is NaN
}

// --- a right triangle with legs x and d > 0 -------------------------------------------------------------------------

// Whether x is the longer leg, the ratio of the legs, and the hypotenuse in units of the longer leg.
struct Sides {
    bool large;
    real ratio, root;
};

__device__ __forceinline__ Sides sides(real x, real d) {
    const real size = absolute(x);
    const bool large = size >= d;
    const real ratio = large ? d / size : size / d;
    return {large, ratio, sqrt(1 + ratio * ratio)};
}

// sqrt(x**2 + d**2) - d
__device__ __forceinline__ real hypot_minus(real x, real d) {
    const Sides s = sides(x, d);
    return absolute(x) * ((s.large ? real(1) : s.ratio) / ((s.large ? s.ratio : real(1)) + s.root));
}

// x/sqrt(x**2 + d**2)
__device__ __forceinline__ real over_hypot(real x, real d) {
    const Sides s = sides(x, d);
    const real size = (s.large ? real(1) : s.ratio) / s.root;
    return x < 0 ? -size : size;
}

// d*(sqrt(x**2 + d**2) - d)
__device__ __forceinline__ real charbonnier(real x, real d) {
    const Sides s = sides(x, d);
    const real size = absolute(x);
    return size * ((s.large ? d : size) / ((s.large ? s.ratio : real(1)) + s.root));
}

// x/sqrt(1 + (x/d)**2)
__device__ __forceinline__ real damped(real x, real d) {
    const Sides s = sides(x, d);
    const real size = (s.large ? d : absolute(x)) / s.root;
    return x < 0 ? -size : size;
}

// --- powers ---------------------------------------------------------------------------------------------------------

// b**k for b >= 0.
__device__ __forceinline__ real power(real b, real k) {
    if (k == 0) return 1;
    if (k != k || !(b >= 0)) return not_a_number();  // the library's pow(1, NaN) is 1, and pow(-2, 2) is 4
    return WORDS_LIBRARY(pow)(absolute(b), k);      // without its sign, -0 to an odd power is 0
}

// (1 + x)**k for x >= -1: the power of u = 1 + x, repaired for the rounding of u, which a large k magnifies.
__device__ __forceinline__ real power1p(real x, real k) {
    const real u = 1 + x;
    const real raised = power(u, k);
    const real lost = k * (x - (u - 1)) / (u > smallest_normal ? u : smallest_normal);
    return absolute(lost) <= largest && absolute(raised) <= largest ? fused(raised, lost, raised) : raised;
}

// k*(1 + x)**(k - 1); 0 for k = 0, and for k < 1 at x = -1.
__device__ __forceinline__ real power1p_slope(real x, real k) {
    if (k == 0 || (k < 1 && x == -1)) return 0;
    return x == x ? weighted(power1p(x, k - 1), k) : x;
}

// k*b**(k - 1); 0 for k < 1 at b = 0, where the true slope is infinite.
__device__ __forceinline__ real power_slope(real b, real k) {
    if (k == 0 || (k < 1 && b == 0)) return 0;
    if (!(b >= 0)) return not_a_number();
    // From one half on, k - 1 is exact; below, its rounding would be magnified by log(b), and b**k/b is accurate.
    const bool divide = k < real(0.5) && b <= largest;
    const real raised = power(b, divide ? k : k - 1);
    const real slope = divide ? k * raised / b : weighted(raised, k);
    return k < 1 && slope > largest ? largest : slope;
}

// --- the logistic family --------------------------------------------------------------------------------------------

// log(1 + exp(x)).
__device__ __forceinline__ real softplus(real x) { return (x > 0 ? x : real(0)) + log1p(exp(-absolute(x))); }

// 1/(1 + exp(-x)).
__device__ __forceinline__ real sigmoid(real x) {
    const real decay = exp(-absolute(x));
    return (x < 0 ? decay : real(1)) / (1 + decay);
}

// sigmoid(x)**k = exp(-k*softplus(-x)) for k >= 0.
__device__ __forceinline__ real sigmoid_power(real x, real k) {
    if (k == 0) return 1;
    // The exponent is k*far + k*near, and an error of it is a relative error of the result: keep what rounding loses.
    const real far = x < 0 ? -x : real(0);
    const real near = log1p(exp(-absolute(x)));
    const real product = weighted(far, k);
    const real sum = fused(k, near, product);
    const real result = exp(-sum);
    if (!(sum < 800)) return result;  // 0 or NaN; the lines below would subtract infinities
    const real lost_product = fused(k, far, -product);
    const real added = sum - product;
    const real lost_sum = (product - (sum - added)) + fused(k, near, -added);
    return fused(-result, lost_product + lost_sum, result);
}

// w*exp(x), by way of the square root, lest the exponential vanish where w brings it back.
__device__ __forceinline__ real weighted_exp(real w, real x) {
    const real root = exp(x / 2);
    return (w * root) * root;
}

// Products with w, also where the other factor alone is subnormal.
__device__ __forceinline__ real weighted_softplus(real w, real x) {
    return x < -normal_limit ? weighted_exp(w, x) : weighted(w, softplus(x));
}

__device__ __forceinline__ real weighted_sigmoid(real w, real x) {
    return x < -normal_limit ? weighted_exp(w, x) : w * sigmoid(x);
}

__device__ __forceinline__ real weighted_sigmoid_power(real w, real x, real k) {
    if (!(k * softplus(-x) > normal_limit)) return w * sigmoid_power(x, k);
    const real root = sigmoid_power(x, k / 2);
    return (w * root) * root;
}

// log(cosh(x)).
__device__ __forceinline__ real log_cosh(real x) {
    const real far = absolute(x);
    if (!(far <= 1)) return far + (log1p(exp(-2 * far)) - real(0.69314718055994531));
    // x*x times a polynomial in x*x, which interpolates log(cosh(x))/x**2 at the Chebyshev nodes of x*x in [0, 1]
    // to a tenth of an ulp. Nothing cancels, and no error of a library function is squared.
    const real u = x * x;
#if REAL_IS_FLOAT
    real sum = real(-2.5617303e-05);
    sum = fused(sum, u, real(0.00017619862));
    sum = fused(sum, u, real(-0.0006794099));
    sum = fused(sum, u, real(0.002161292));
    sum = fused(sum, u, real(-0.0067397994));
    sum = fused(sum, u, real(0.022221465));
    sum = fused(sum, u, real(-0.0833333));
#else
    real sum = real(-2.2764198082727952e-09);
    sum = fused(sum, u, real(2.4268051367700383e-08));
    sum = fused(sum, u, real(-1.3068157325434964e-07));
    sum = fused(sum, u, real(4.924539882543482e-07));
    sum = fused(sum, u, real(-1.5281848212875655e-06));
    sum = fused(sum, u, real(4.331402571628952e-06));
    sum = fused(sum, u, real(-1.1918687623522829e-05));
    sum = fused(sum, u, real(3.276489941653655e-05));
    sum = fused(sum, u, real(-9.09856096555369e-05));
    sum = fused(sum, u, real(0.00025657975920948954));
    sum = fused(sum, u, real(-0.0007386028466072547));
    sum = fused(sum, u, real(0.002186948843058455));
    sum = fused(sum, u, real(-0.006746031745439467));
    sum = fused(sum, u, real(0.022222222222204716));
    sum = fused(sum, u, real(-0.08333333333333313));
#endif
    return u * fused(sum, u, real(0.5));
}

// --- relative entropy -----------------------------------------------------------------------------------------------

// log(p/q), given d = p - q.
__device__ __forceinline__ real log_ratio(real p, real q, real d) {
    if (p != p || q != q || d != d) return not_a_number();
    const real t = d / q;
    if (t >= real(-0.5) && t <= largest) return log1p(t);  // for t > 1 too, where it is more accurate than log(p/q)
    const real ratio = p / q;
    if (ratio >= smallest_normal && ratio <= largest) return log(ratio);
    if (p == 0 && q == 0) return 0;
    return log(p) - log(q);
}

// p*log(p/q) - d >= 0, given d = p - q.
__device__ __forceinline__ real kl_div(real p, real q, real d) {
    if (p != p || q != q || d != d) return not_a_number();
    const real t = d / q;
    const real s = t / (2 + t);
    if (s >= real(-0.5) && s <= real(0.5)) {  // p/q between 1/3 and 3
        // q*((1 + t)*log1p(t) - t) = d/(2 + t)*(t + 2*(1 + t)*u*(1/3 + u/5 + u**2/7 + ...)), in which nothing cancels.
        // The polynomial interpolates the series at the Chebyshev nodes of u in [0, 1/4], to a quarter of an ulp.
        const real u = s * s;
#if REAL_IS_FLOAT
        real sum = real(0.15630643);
        sum = fused(sum, u, real(0.04090613));
        sum = fused(sum, u, real(0.097521976));
        sum = fused(sum, u, real(0.11050801));
        sum = fused(sum, u, real(0.14288287));
        sum = fused(sum, u, real(0.19999959));
        sum = fused(sum, u, real(0.33333334));
#else
        real sum = real(0.21102349354586028);
        sum = fused(sum, u, real(-0.14457116520388816));
        sum = fused(sum, u, real(0.13562462308515152));
        sum = fused(sum, u, real(0.012274224445247523));
        sum = fused(sum, u, real(0.054423842916572505));
        sum = fused(sum, u, real(0.05160688662116789));
        sum = fused(sum, u, real(0.058931093223755046));
        sum = fused(sum, u, real(0.06665885573769934));
        sum = fused(sum, u, real(0.07692345982339695));
        sum = fused(sum, u, real(0.09090907880056467));
        sum = fused(sum, u, real(0.11111111133968694));
        sum = fused(sum, u, real(0.1428571428548979));
        sum = fused(sum, u, real(0.20000000000000867));
        sum = fused(sum, u, real(0.3333333333333333));
#endif
        return d / (2 + t) * fused(2 * (1 + t) * u, sum, t);
    }
    if (p == 0) return 0 - d;
    if (absolute(d) > largest) return absolute(d);  // p or q is infinite
    return fused(p, log_ratio(p, q, d), -d);
}

// --- a mixture m = (1 - a)*p + a*q, given d = p - q ------------------------------------------------------------------

#if REAL_IS_FLOAT
constexpr real tiny = 2.32830644e-10f, lift_of_tiny = 1.70141183e38f, drop_of_tiny = 5.87747175e-39f;
#else
constexpr real tiny = 8.636168555094445e-78;
constexpr real lift_of_tiny = 1.552518092300709e+231, drop_of_tiny = 6.441148769597133e-232;
#endif

// Tiny p and q are lifted, lest they vanish in the mixture; `back` brings results back.
struct Mixed {
    real p, m, d, back;
};

__device__ __forceinline__ Mixed mixed(real p, real q, real a, real d) {
    const bool small = p < tiny && q < tiny;
    const real lift = small ? lift_of_tiny : real(1);
    return {p * lift, lerp(p * lift, q * lift, a), a * (d * lift), small ? drop_of_tiny : real(1)};
}

// p*log(p/m) - a*d
__device__ __forceinline__ real skew_entropy(real p, real q, real a, real d) {
    const Mixed x = mixed(p, q, a, d);
    return kl_div(x.p, x.m, x.d) * x.back;
}

// log(p/m)
__device__ __forceinline__ real skew_log(real p, real q, real a, real d) {
    const Mixed x = mixed(p, q, a, d);
    return log_ratio(x.p, x.m, x.d);
}

// a*d/m
__device__ __forceinline__ real skew_pull(real p, real q, real a, real d) {
    const Mixed x = mixed(p, q, a, d);
    return quotient(x.d, x.m);
}

// y - sigmoid(x). With e = exp(-abs(x)) it is (y*(1 + e) - 1)/(1 + e) for x >= 0, and (y*(1 + e) - e)/(1 + e) below;
// near x = 0, where e is nearly 1, from 2*y - 1, which is exact where the two terms nearly cancel.
__device__ __forceinline__ real residual_of_logit(real y, real x) {
    const real size = absolute(x), decay_minus_1 = expm1(-size), decay = exp(-size);
    const real near = fused(x >= 0 ? y : y - 1, decay_minus_1, 2 * y - 1);
    const real far = x >= 0 ? fused(y, decay, y - 1) : fused(y - 1, decay, y);
    return (decay_minus_1 > real(-0.5) ? near : far) / (1 + decay);
}

// p*log(p/sigmoid(x)) - d, given d = p - sigmoid(x); far down sigmoid(x) is exp(x), and has too few digits.
__device__ __forceinline__ real kl_div_of_logit(real p, real x, real d) {
    const bool is_far = exp(x) < smallest_normal;
    return is_far ? (p > 0 ? fused(p, log(p) - x, -d) : -d) : kl_div(p, sigmoid(x), d);
}

}  // namespace words
