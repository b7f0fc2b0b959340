/* Compiles the loops for each kind of processor, and chooses among them.
 *
 * A VECTOR is a register of int32 lanes. A lane may hold two numbers of 16 bits: ADD_PRODUCTS(total, a, b) adds the
 * products of both pairs, which plain C gives no compiler to see. ADD_LEAVES(possible, leaf, n_leaves, total) adds the
 * score of the lowest leaf left in each of LANES rows, or the highest if a forged tree leaves none.
 */
#include "loops.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define AHEAD 8192 /* numbers from the one that is read to the one that is fetched: 16 KB */
#define ALWAYS_INLINE inline __attribute__((always_inline))

static ALWAYS_INLINE void add_leaves(const void *possible, const double *leaf, int64_t n_leaves, double *total)
{
    uint32_t left[LANES];
    memcpy(left, possible, sizeof left);
    for (int lane = 0; lane < LANES; lane++)
        total[lane] += leaf[__builtin_ctz(left[lane] | 1u << (n_leaves - 1))];
}

#define TARGET
#define PROCESSOR "baseline"
#define NAME(function) function##_baseline
#define ADD_LEAVES add_leaves
#if defined(__x86_64__)
#define VECTOR __m128i
#define LOAD(numbers) _mm_loadu_si128((const __m128i *)(numbers))
#define STORE(numbers, vector) _mm_storeu_si128((__m128i *)(numbers), vector)
#define SPREAD(number) _mm_set1_epi32(number)
#define ADD_PRODUCTS(total, a, b) _mm_add_epi32(total, _mm_madd_epi16(a, b))
#define KEEP(possible, read, most, left) \
    possible = _mm_and_si128(possible, _mm_or_si128(_mm_set1_epi32((int32_t)(left)), _mm_castps_si128( \
                                           _mm_cmple_ps(_mm_loadu_ps(read), _mm_set1_ps(most)))))
#else
typedef int32_t Plain __attribute__((vector_size(16)));
static ALWAYS_INLINE Plain load(const void *numbers)
{
    Plain vector;
    memcpy(&vector, numbers, sizeof vector);
    return vector;
}
#define VECTOR Plain
#define LOAD(numbers) load(numbers)
#define STORE(numbers, vector) memcpy(numbers, &(vector), sizeof(Plain))
#define SPREAD(number) ((Plain){0} + (number))
#define ADD_PRODUCTS(total, a, b) ((total) + ((a) << 16 >> 16) * ((b) << 16 >> 16) + ((a) >> 16) * ((b) >> 16))
#define KEEP(possible, read, most, left) \
    for (int lane = 0; lane < 4; lane++) \
    possible[lane] &= (int32_t)((left) | -(uint32_t)((read)[lane] <= (most)))
#endif
#include "loops_of_processor.h"

#if defined(__x86_64__)
#define TARGET __attribute__((target("avx2")))
#define PROCESSOR "avx2"
#define NAME(function) function##_avx2
#define ADD_LEAVES add_leaves
#define VECTOR __m256i
#define LOAD(numbers) _mm256_loadu_si256((const __m256i *)(numbers))
#define STORE(numbers, vector) _mm256_storeu_si256((__m256i *)(numbers), vector)
#define SPREAD(number) _mm256_set1_epi32(number)
#define ADD_PRODUCTS(total, a, b) _mm256_add_epi32(total, _mm256_madd_epi16(a, b))
#define KEEP(possible, read, most, left) \
    possible = _mm256_and_si256(possible, _mm256_or_si256(_mm256_set1_epi32((int32_t)(left)), _mm256_castps_si256( \
                                              _mm256_cmp_ps(_mm256_loadu_ps(read), _mm256_set1_ps(most), _CMP_LE_OQ))))
#include "loops_of_processor.h"

/* VBMI2 marks the processors that do not slow down for vectors of 512 bits, as earlier ones did. */
#define AVX512 "avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx512vbmi2"
#if defined(__clang__)
#define TARGET __attribute__((target(AVX512)))
#else
#define TARGET __attribute__((target(AVX512 ",prefer-vector-width=512")))
#endif

/* The leaves are looked up in registers: 16 of them in two. */
TARGET static ALWAYS_INLINE void add_leaves_avx512(const __m512i *possible, const double *leaf, int64_t n_leaves,
                                                   double *total)
{
    const __m512i left = _mm512_or_si512(*possible, _mm512_set1_epi32((int32_t)(1u << (n_leaves - 1))));
    const __m512i lowest = _mm512_and_si512(left, _mm512_sub_epi32(_mm512_setzero_si512(), left));
    const __m512i place = _mm512_sub_epi32(_mm512_set1_epi32(31), _mm512_lzcnt_epi32(lowest));
    const __m512i places[2] = {_mm512_cvtepu32_epi64(_mm512_castsi512_si256(place)),
                               _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(place, 1))};
    for (int half = 0; half < 2; half++) {
        __m512d found = _mm512_permutex2var_pd(_mm512_loadu_pd(leaf), places[half], _mm512_loadu_pd(leaf + 8));
        if (n_leaves > 16) {
            const __m512d upper =
                _mm512_permutex2var_pd(_mm512_loadu_pd(leaf + 16), places[half], _mm512_loadu_pd(leaf + 24));
            found = _mm512_mask_blend_pd(_mm512_cmpgt_epi64_mask(places[half], _mm512_set1_epi64(15)), found, upper);
        }
        _mm512_storeu_pd(total + 8 * half, _mm512_add_pd(_mm512_loadu_pd(total + 8 * half), found));
    }
}

#define PROCESSOR "avx512"
#define NAME(function) function##_avx512
#define ADD_LEAVES add_leaves_avx512
#define VECTOR __m512i
#define LOAD(numbers) _mm512_loadu_si512(numbers)
#define STORE(numbers, vector) _mm512_storeu_si512(numbers, vector)
#define SPREAD(number) _mm512_set1_epi32(number)
#define ADD_PRODUCTS(total, a, b) _mm512_add_epi32(total, _mm512_madd_epi16(a, b))
#define KEEP(possible, read, most, left) \
    possible = _mm512_mask_and_epi32( \
        possible, _mm512_cmp_ps_mask(_mm512_loadu_ps(read), _mm512_set1_ps(most), _CMP_NLE_UQ), possible, \
        _mm512_set1_epi32((int32_t)(left)))
#include "loops_of_processor.h"
#endif

static int n_found(const Loops *found[3])
{
    int n = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512cd")
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
