struct Sum {  // a sum with twice the digits of a double
    double high, low;
    __device__ void add(double x) {
        const double total = high + x, back = total - high;
        low += (high - (total - back)) + (x - back);
        high = total;
    }
    __device__ double value() const { return low == low ? high + low : high; }  // low is NaN where high is infinite
};
