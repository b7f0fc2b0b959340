/* Compiles the loops for each kind of processor, and chooses among them. */
#include "loops.h"
#include "predictor.h"

#define TARGET
#define PROCESSOR "baseline"
#define NAME(function) function##_baseline
#include "loops_of_processor.h"
#undef TARGET
#undef PROCESSOR
#undef NAME

#if defined(__x86_64__)
#define TARGET __attribute__((target("avx2")))
#define PROCESSOR "avx2"
#define NAME(function) function##_avx2
#include "loops_of_processor.h"
#undef TARGET
#undef PROCESSOR
#undef NAME

/* VBMI2 marks the processors that do not slow down for vectors of 512 bits, as earlier ones did. */
#define AVX512 "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi2"
#if defined(__clang__)
#define TARGET __attribute__((target(AVX512)))
#else
#define TARGET __attribute__((target(AVX512 ",prefer-vector-width=512")))
#endif
#define PROCESSOR "avx512"
#define NAME(function) function##_avx512
#include "loops_of_processor.h"
#endif

static int n_found(const Loops *found[3])
{
    int n = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512vnni")
        && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl"))
        found[n++] = &loops_avx512;
    if (__builtin_cpu_supports("avx2"))
        found[n++] = &loops_avx2;
#endif
    found[n++] = &loops_baseline;
    return n;
}

int n_supported(void)
{
    const Loops *found[3];
    return n_found(found);
}

const Loops *supported(int place)
{
    const Loops *found[3];
    return place < n_found(found) ? found[place] : &loops_baseline;
}
