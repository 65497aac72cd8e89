// Runs CUDA C++ source on the host, so that kernels can be proven on a machine without a GPU.
//
// Included before the kernels, this header gives g++ the CUDA words that the kernels use: threadIdx and its like,
// __shared__, __syncthreads, warp shuffles. CUDA_ON_HOST_EXPORT(kernel) then makes a kernel callable by name.
//
// Two engines run the threads of a block; blocks run one after another.
//
// - Fibers (the default): every CUDA thread has its own stack and runs until it must wait for others. Nothing is
//   left to chance: a launch runs its blocks and threads in ascending or in descending order, as asked, and a
//   kernel whose result depends on the order lacks a barrier. A deadlock is seen at once.
// - Threads (-DCUDA_ON_HOST_THREADS=1): one std::thread per CUDA thread, std::barrier for __syncthreads. Slower by
//   a factor of a hundred, but truly concurrent.
//
// A mistake ends the launch with a message; it neither hangs nor ends the process. Mistakes that are seen:
// __syncthreads reached at two places at once; a shuffle whose mask names a lane that has left the kernel, that
// does not exist, or that waits elsewhere for this one, or whose mask lacks the caller; threads that wait for each
// other. Shared memory is filled with NaN patterns before each block, and a shuffle that reads a lane outside
// its mask gets one, so what is undefined on a device does not look right here. As on a device, threads that have
// left the kernel no longer count in __syncthreads. Atomics are absent on purpose.
//
// One launch runs at a time in a library: the caller sees to that.

#pragma once

#undef _FORTIFY_SOURCE  // its longjmp refuses to change stacks

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <source_location>
#include <type_traits>
#include <utility>

#ifndef CUDA_ON_HOST_THREADS
#define CUDA_ON_HOST_THREADS 0
#endif

#if CUDA_ON_HOST_THREADS
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>
#define CUDA_ON_HOST_OWN static thread_local  // a variable of which each running thread has its own
#else
#define CUDA_ON_HOST_OWN static
#endif

// --- words of CUDA C++ ----------------------------------------------------------------------------------------------

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
// One section holds every shared array, so that all of them can be filled before a block starts.
#define __shared__ static __attribute__((section("cuda_shared")))
extern "C" __attribute__((weak, visibility("hidden"))) char __start_cuda_shared[], __stop_cuda_shared[];

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

CUDA_ON_HOST_OWN uint3 threadIdx, blockIdx;
static dim3 blockDim, gridDim;
static constexpr int warpSize = 32;

namespace cuda_on_host {

// --- the threads of the running block -------------------------------------------------------------------------------

enum class Exchange { none, syncwarp, shuffle, shuffle_up, shuffle_down, shuffle_xor };

static const char* name_of(Exchange kind) {
    static const char* const names[] = {
        "", "__syncwarp", "__shfl_sync", "__shfl_up_sync", "__shfl_down_sync", "__shfl_xor_sync"};
    return names[static_cast<int>(kind)];
}

struct Thread {
    uint3 index;
    bool gone;             // has left the kernel
    bool at_barrier;       // waits in __syncthreads, at this line:
    unsigned line;
    Exchange kind;         // waits in this exchange, with the lanes of this mask:
    unsigned mask;
    int source;            // the lane that it reads, or -1 for its own value
    uint64_t given, taken;
};

static Thread threads[1024];  // of the running block, x fastest: 32 in a row are a warp
static unsigned thread_count;
static char message[1024];          // what went wrong in this launch; empty while nothing has
CUDA_ON_HOST_OWN unsigned current;  // the index in `threads` of the running thread

struct Text {
    char characters[128];
};

static Text place(const uint3& index) {
    Text text;
    const char* format = blockDim.y == 1 && blockDim.z == 1 ? "thread %u" : "thread (%u, %u, %u)";
    snprintf(text.characters, sizeof text.characters, format, index.x, index.y, index.z);
    return text;
}

static Text here() {
    Text text;
    snprintf(text.characters, sizeof text.characters, "%.50s of block (%u, %u, %u)", place(threadIdx).characters,
             blockIdx.x, blockIdx.y, blockIdx.z);
    return text;
}

// What each engine provides: end the launch with a message (the first one counts); wait until this thread's exchange
// is complete; wake the thread of a completed exchange; keep other threads out of a warp while the guard lives.
[[noreturn, gnu::format(printf, 1, 2)]] static void fail(const char* format, ...);
static void wait_in_warp();
static void wake(Thread&);
struct WarpGuard;

static void start_block() {
    for (unsigned index = 0; index < thread_count; ++index) threads[index] = Thread{.index = threads[index].index};
    if (__start_cuda_shared) memset(__start_cuda_shared, 0xff, __stop_cuda_shared - __start_cuda_shared);
}

static uint3 block_index(uint64_t block) {
    const uint64_t row = block / gridDim.x;
    return {unsigned(block % gridDim.x), unsigned(row % gridDim.y), unsigned(row / gridDim.y)};
}

// --- exchanges within a warp ----------------------------------------------------------------------------------------

static unsigned lanes_of(const Thread* warp) {
    const unsigned rest = unsigned(threads + thread_count - warp);
    return rest < 32 ? rest : 32;
}

// Completes the exchange of a lane if every lane of its mask has come.
static void try_to_complete(Thread* warp, unsigned lane) {
    const Thread& mine = warp[lane];
    const unsigned mask = mine.mask, lanes = lanes_of(warp);
    bool complete = true;
    for (unsigned other = 0; other < 32; ++other) {
        if (!(mask >> other & 1)) continue;
        if (other >= lanes)
            fail("%s calls %s with mask 0x%x, which names lane %u, but its warp has only %u lanes", here().characters,
                 name_of(mine.kind), mask, other, lanes);
        const Thread& their = warp[other];
        if (their.gone)
            fail("%s calls %s with mask 0x%x, which names lane %u (%s), but that lane has left the kernel",
                 here().characters, name_of(mine.kind), mask, other, place(their.index).characters);
        const bool same = their.kind == mine.kind && their.mask == mask;
        if (their.kind != Exchange::none && (their.mask >> lane & 1) && !same)
            fail("%s calls %s with mask 0x%x, while lane %u (%s) waits for it in %s with mask 0x%x", here().characters,
                 name_of(mine.kind), mask, other, place(their.index).characters, name_of(their.kind), their.mask);
        complete = complete && same;
    }
    if (!complete) return;
    for (unsigned other = 0; other < lanes; ++other) {
        if (!(mask >> other & 1)) continue;
        Thread& their = warp[other];
        if (their.source < 0)
            their.taken = their.given;
        else
            their.taken = mask >> their.source & 1 ? warp[their.source].given : ~uint64_t(0);
    }
    for (unsigned other = 0; other < lanes; ++other) {
        if (!(mask >> other & 1)) continue;
        warp[other].kind = Exchange::none;
        wake(warp[other]);
    }
}

static uint64_t exchange(Exchange kind, unsigned mask, uint64_t given, int source);

static void check_leaving(const Thread* warp, unsigned lane) {
    for (unsigned other = 0; other < lanes_of(warp); ++other) {
        const Thread& their = warp[other];
        if (their.kind != Exchange::none && (their.mask >> lane & 1))
            fail("%s leaves the kernel while lane %u (%s) waits for it in %s with mask 0x%x", here().characters, other,
                 place(their.index).characters, name_of(their.kind), their.mask);
    }
}

// The lanes of a width: the caller's lane, its place in its segment, and the segment's first lane.
struct Segment {
    unsigned lane, inside, first;

    Segment(Exchange kind, int width) : lane(current % 32), inside(lane & unsigned(width - 1)), first(lane - inside) {
        if (width < 1 || width > 32 || (width & (width - 1)))
            fail("%s calls %s with width %d; it must be 1, 2, 4, 8, 16 or 32", here().characters, name_of(kind), width);
    }
};

template <class Value>
concept Shuffled = std::is_arithmetic_v<Value> && (sizeof(Value) == 4 || sizeof(Value) == 8);

template <Shuffled Value>
static Value shuffle(Exchange kind, unsigned mask, Value value, int source) {
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = exchange(kind, mask, bits, source);
    memcpy(&value, &bits, sizeof value);
    return value;
}

static const char* const two_places = "block (%u, %u, %u) waits in __syncthreads at two places: lines %u and %u";

typedef void (*Body)(void* context);

#if !CUDA_ON_HOST_THREADS

// --- fibers ---------------------------------------------------------------------------------------------------------

constexpr size_t stack_bytes = 128 * 1024;

struct Fiber {
    char* stack;
    bool started;
    ucontext_t entry;
    jmp_buf resume;
};

static Fiber fibers[1024];
static Fiber* holding[1024];  // the fiber of each thread that has begun and not ended
static Fiber* spare[1024];    // the others
static unsigned spare_count;
static Fiber* running;
static jmp_buf scheduler;
static unsigned at_barrier_or_gone;  // threads
static Body body;
static void* body_context;

static void back_to_scheduler() {
    Fiber* fiber = running;
    if (_setjmp(fiber->resume) == 0) _longjmp(scheduler, 1);
}

static void fail(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    for (;;) back_to_scheduler();  // which never comes back here
}

struct WarpGuard {
    explicit WarpGuard(unsigned) {}
};

static void wake(Thread&) {}

static void wait_in_warp() {
    while (threads[current].kind != Exchange::none) back_to_scheduler();
}

static void one_more_at_barrier_or_gone() {
    if (++at_barrier_or_gone < thread_count) return;
    unsigned line = 0;
    at_barrier_or_gone = 0;
    for (unsigned index = 0; index < thread_count; ++index) {
        Thread& thread = threads[index];
        at_barrier_or_gone += thread.gone;
        if (!thread.at_barrier) continue;
        if (line && thread.line != line) fail(two_places, blockIdx.x, blockIdx.y, blockIdx.z, line, thread.line);
        line = thread.line;
        thread.at_barrier = false;
    }
}

static void block_barrier(unsigned line) {
    threads[current].at_barrier = true;
    threads[current].line = line;
    one_more_at_barrier_or_gone();
    while (threads[current].at_barrier) back_to_scheduler();
}

static void run_fiber() {
    for (;;) {
        body(body_context);
        check_leaving(threads + current / 32 * 32, current % 32);
        threads[current].gone = true;
        one_more_at_barrier_or_gone();
        back_to_scheduler();
    }
}

static void resume(Fiber* fiber) {
    running = fiber;
    if (_setjmp(scheduler)) return;
    if (fiber->started) _longjmp(fiber->resume, 1);
    fiber->started = true;
    if (!fiber->stack) fiber->stack = static_cast<char*>(malloc(stack_bytes));
    if (!fiber->stack) abort();
    getcontext(&fiber->entry);
    fiber->entry.uc_stack.ss_sp = fiber->stack;
    fiber->entry.uc_stack.ss_size = stack_bytes;
    makecontext(&fiber->entry, run_fiber, 0);
    setcontext(&fiber->entry);
}

static void tell_deadlock() {
    size_t length = size_t(snprintf(message, sizeof message, "the threads of block (%u, %u, %u) wait for each other:",
                                    blockIdx.x, blockIdx.y, blockIdx.z));
    const Thread* last = nullptr;
    for (unsigned index = 0, told = 0; index < thread_count && told < 4; ++index) {
        const Thread& thread = threads[index];
        if (thread.gone) continue;
        if (last && last->kind == thread.kind && last->mask == thread.mask) continue;  // it waits where the last does
        last = &thread;
        ++told;
        char* end = message + length;
        if (thread.at_barrier)
            length += size_t(snprintf(end, sizeof message - length, " %s in __syncthreads at line %u;",
                                      place(thread.index).characters, thread.line));
        else
            length += size_t(snprintf(end, sizeof message - length, " %s in %s with mask 0x%x;",
                                      place(thread.index).characters, name_of(thread.kind), thread.mask));
    }
}

static void run_block(bool descending) {
    at_barrier_or_gone = 0;
    start_block();
    for (unsigned unfinished = thread_count; unfinished;) {
        bool moved = false;
        for (unsigned step = 0; step < thread_count; ++step) {
            const unsigned index = descending ? thread_count - 1 - step : step;
            const Thread& thread = threads[index];
            if (thread.gone || thread.at_barrier || thread.kind != Exchange::none) continue;
            moved = true;
            current = index;
            threadIdx = thread.index;
            if (!holding[index]) holding[index] = spare[--spare_count];
            resume(holding[index]);
            if (message[0]) return;
            if (thread.gone) {
                spare[spare_count++] = holding[index];
                holding[index] = nullptr;
                --unfinished;
            }
        }
        if (!moved) return tell_deadlock();
    }
}

static void run_grid(bool descending, Body kernel, void* context) {
    body = kernel;
    body_context = context;
    if (!spare_count || message[0]) {  // the first launch, or the one after a failure, which left fibers in mid-kernel
        for (spare_count = 0; spare_count < 1024; ++spare_count) {
            fibers[spare_count].started = false;
            holding[spare_count] = nullptr;
            spare[spare_count] = &fibers[spare_count];
        }
    }
    message[0] = 0;
    const uint64_t blocks = uint64_t(gridDim.x) * gridDim.y * gridDim.z;
    for (uint64_t step = 0; step < blocks && !message[0]; ++step) {
        blockIdx = block_index(descending ? blocks - 1 - step : step);
        run_block(descending);
    }
}

#else

// --- threads --------------------------------------------------------------------------------------------------------

constexpr std::chrono::seconds patience(60);  // longer than any lane of a warp lets the others wait

struct Stop {};  // leaves the kernel of a launch that has failed

static std::mutex message_lock;

static bool failed() {
    const std::lock_guard guard(message_lock);
    return message[0];
}

static void tell(const char* format, va_list arguments) {
    const std::lock_guard guard(message_lock);
    if (!message[0]) vsnprintf(message, sizeof message, format, arguments);
}

static void fail(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    tell(format, arguments);
    va_end(arguments);
    throw Stop{};
}

struct Warp {
    std::mutex lock;
    std::condition_variable changed;
};
static Warp warps[32];

struct WarpGuard {
    std::unique_lock<std::mutex> lock;
    explicit WarpGuard(unsigned warp) : lock(warps[warp].lock) {}
};

static void wake(Thread& thread) { warps[(&thread - threads) / 32].changed.notify_all(); }

static void wait_in_warp() {
    const Thread& mine = threads[current];
    Warp& warp = warps[current / 32];
    std::unique_lock lock(warp.lock);
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (mine.kind != Exchange::none) {
        if (failed()) throw Stop{};
        if (std::chrono::steady_clock::now() > deadline)
            fail("%s has waited for a minute in %s with mask 0x%x", here().characters, name_of(mine.kind), mine.mask);
        warp.changed.wait_for(lock, std::chrono::milliseconds(100));
    }
}

struct CheckLines {
    void operator()() noexcept {
        unsigned line = 0;
        for (unsigned index = 0; index < thread_count; ++index) {
            const Thread& thread = threads[index];
            if (!thread.at_barrier) continue;
            if (line && thread.line != line) {
                try {
                    fail(two_places, blockIdx.x, blockIdx.y, blockIdx.z, line, thread.line);
                } catch (Stop) {  // the threads see the message when they leave the barrier
                }
            }
            line = thread.line;
        }
    }
};
static std::optional<std::barrier<CheckLines>> barrier;

static void block_barrier(unsigned line) {
    threads[current].line = line;
    threads[current].at_barrier = true;
    barrier->arrive_and_wait();
    threads[current].at_barrier = false;
    if (failed()) throw Stop{};
}

static void run_thread(Body kernel, void* context) {
    try {
        if (!failed()) kernel(context);
        const WarpGuard guard(current / 32);
        threads[current].gone = true;
        check_leaving(threads + current / 32 * 32, current % 32);
    } catch (Stop) {
    }
    barrier->arrive_and_drop();
}

static void run_grid(bool, Body kernel, void* context) {
    message[0] = 0;
    const uint64_t blocks = uint64_t(gridDim.x) * gridDim.y * gridDim.z;
    const auto prepare = []() noexcept {
        start_block();
        barrier.emplace(std::ptrdiff_t(thread_count));
    };
    prepare();
    std::barrier between(std::ptrdiff_t(thread_count), prepare);
    std::vector<std::jthread> crew;
    for (unsigned index = 0; index < thread_count; ++index)
        crew.emplace_back([&, index] {
            current = index;
            threadIdx = threads[index].index;
            for (uint64_t block = 0; block < blocks; ++block) {
                blockIdx = block_index(block);
                run_thread(kernel, context);
                between.arrive_and_wait();
            }
        });
}

#endif

static uint64_t exchange(Exchange kind, unsigned mask, uint64_t given, int source) {
    const unsigned lane = current % 32;
    Thread& mine = threads[current];
    if (!(mask >> lane & 1))
        fail("%s calls %s with mask 0x%x, which does not name its own lane %u", here().characters, name_of(kind), mask,
             lane);
    {
        const WarpGuard guard(current / 32);
        mine.kind = kind;
        mine.mask = mask;
        mine.given = given;
        mine.source = source;
        try_to_complete(threads + (current - lane), lane);
    }
    wait_in_warp();
    return mine.taken;
}

// --- launching ------------------------------------------------------------------------------------------------------

struct Request {
    unsigned grid[3], block[3];
    int descending;
};

template <class... Arguments>
struct Call {
    void (*kernel)(Arguments...);
    void** arguments;

    template <size_t... Index>
    void run(std::index_sequence<Index...>) const {
        kernel(*static_cast<std::remove_cv_t<Arguments>*>(arguments[Index])...);
    }

    static void run_one_thread(void* call) { static_cast<Call*>(call)->run(std::index_sequence_for<Arguments...>{}); }
};

// Runs a kernel over a grid; null, or what went wrong.
template <class... Arguments>
static const char* launch(void (*kernel)(Arguments...), const Request* request, void** arguments) {
    gridDim = dim3(request->grid[0], request->grid[1], request->grid[2]);
    blockDim = dim3(request->block[0], request->block[1], request->block[2]);
    thread_count = blockDim.x * blockDim.y * blockDim.z;
    for (unsigned index = 0; index < thread_count; ++index)
        threads[index].index = {index % blockDim.x, index / blockDim.x % blockDim.y, index / blockDim.x / blockDim.y};
    Call<Arguments...> call{kernel, arguments};
    run_grid(request->descending, Call<Arguments...>::run_one_thread, &call);
    return message[0] ? message : nullptr;
}

// A parameter's type as NumPy names it: f4, i8, u2, b1, V8 for a struct; with a star before what it points to.
template <class Type>
static void print_type(char*& end) {
    using Plain = std::remove_cv_t<Type>;
    if constexpr (std::is_pointer_v<Plain>) {
        *end++ = '*';
        print_type<std::remove_pointer_t<Plain>>(end);
    } else if constexpr (std::is_void_v<Plain>) {
        end += sprintf(end, "void ");
    } else {
        const char kind = std::is_same_v<Plain, bool>          ? 'b'
                          : std::is_floating_point_v<Plain>    ? 'f'
                          : std::is_class_v<Plain>             ? 'V'
                          : !std::is_integral_v<Plain>         ? '?'
                          : std::is_signed_v<Plain>            ? 'i'
                                                               : 'u';
        end += sprintf(end, "%c%zu ", kind, sizeof(Plain));
    }
}

template <class... Arguments>
static const char* parameters(void (*)(Arguments...)) {
    static char text[16 * (sizeof...(Arguments) + 1)];
    char* end = text;
    (print_type<Arguments>(end), ...);
    return text;
}

}  // namespace cuda_on_host

#define CUDA_ON_HOST_EXPORT(kernel)                                                     \
    extern "C" __attribute__((visibility("default"))) const char* launch_##kernel(     \
        const cuda_on_host::Request* request, void** arguments) {                      \
        return cuda_on_host::launch(kernel, request, arguments);                       \
    }                                                                                  \
    extern "C" __attribute__((visibility("default"))) const char* parameters_##kernel() { \
        return cuda_on_host::parameters(kernel);                                       \
    }

// --- functions of CUDA C++ ------------------------------------------------------------------------------------------

static inline void __syncthreads(std::source_location where = std::source_location::current()) {
    cuda_on_host::block_barrier(where.line());
}

static inline void __syncwarp(unsigned mask = 0xffffffff) {
    cuda_on_host::exchange(cuda_on_host::Exchange::syncwarp, mask, 0, -1);
}

template <cuda_on_host::Shuffled Value>
static inline Value __shfl_sync(unsigned mask, Value value, int source, int width = 32) {
    using namespace cuda_on_host;
    const Segment segment(Exchange::shuffle, width);
    return shuffle(Exchange::shuffle, mask, value, int(segment.first) + (source & (width - 1)));
}

template <cuda_on_host::Shuffled Value>
static inline Value __shfl_up_sync(unsigned mask, Value value, unsigned delta, int width = 32) {
    using namespace cuda_on_host;
    const Segment segment(Exchange::shuffle_up, width);
    return shuffle(Exchange::shuffle_up, mask, value, delta <= segment.inside ? int(segment.lane - delta) : -1);
}

template <cuda_on_host::Shuffled Value>
static inline Value __shfl_down_sync(unsigned mask, Value value, unsigned delta, int width = 32) {
    using namespace cuda_on_host;
    const Segment segment(Exchange::shuffle_down, width);
    const bool within = delta < unsigned(width) - segment.inside;
    return shuffle(Exchange::shuffle_down, mask, value, within ? int(segment.lane + delta) : -1);
}

template <cuda_on_host::Shuffled Value>
static inline Value __shfl_xor_sync(unsigned mask, Value value, int bits, int width = 32) {
    using namespace cuda_on_host;
    const Segment segment(Exchange::shuffle_xor, width);
    const unsigned source = segment.lane ^ unsigned(bits);  // earlier segments may be read, later ones may not
    return shuffle(Exchange::shuffle_xor, mask, value, source < segment.first + unsigned(width) ? int(source) : -1);
}

template <class Value>
static inline Value __ldg(const Value* place) {
    return *place;
}

static inline int __float_as_int(float value) { return __builtin_bit_cast(int, value); }
static inline float __int_as_float(int value) { return __builtin_bit_cast(float, value); }
static inline long long __double_as_longlong(double value) { return __builtin_bit_cast(long long, value); }
static inline double __longlong_as_double(long long value) { return __builtin_bit_cast(double, value); }

// Of floating-point numbers, one of which is NaN, the other one: as on a device.
template <class Value>
static inline Value min(Value a, Value b) {
    return a < b || b != b ? a : b;
}

template <class Value>
static inline Value max(Value a, Value b) {
    return a > b || b != b ? a : b;
}
