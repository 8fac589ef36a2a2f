// The library that Python calls, by ctypes: each kernel for floats and for doubles.
//
//   vectors.h              registers of numbers
//   maps.h                 how maps lie in memory
//   weights.h              from torch's layout and back
//   direct.h, winograd.h   two ways to convolve
//   convolution.h          which of them, and its derivatives
//   pooling.h              the largest of a window, and its place
//   normalisation.h        normalisation, pooling and ReLU, and the gradient
//   normalisation_twice.h  and the gradient's
//   first_block.h          the block that sees images
//   patches.h              mean and covariance of what it sees
//   exports.h              the functions by name
#include "convolution.h"
#include "first_block.h"
#include "normalisation_twice.h"
#include "patches.h"
#include "weights.h"

namespace {

template <class T>
void convolve_by(const T* maps, const T* weights, T* out, const Grid& grid) {
  alignas(64) static thread_local T taps[TAPS * MATRIX];
  arrange<T>(weights, taps);
  convolve<T, 1>({{maps, taps}}, out, grid);
}

template <class T>
void convolve_by_turned(const T* maps, const T* weights, T* out, const Grid& grid) {
  alignas(64) static thread_local T taps[TAPS * MATRIX];
  arrange_turned<T>(weights, taps);
  convolve<T, 1>({{maps, taps}}, out, grid);
}

template <class T>
void convolve_by_both(const T* maps, const T* weights, const T* others, const T* their, T* out,
                      const Grid& grid) {
  alignas(64) static thread_local T taps[2][TAPS * MATRIX];
  arrange<T>(weights, taps[0]);
  arrange<T>(their, taps[1]);
  convolve<T, 2>({{maps, taps[0]}, {others, taps[1]}}, out, grid);
}

template <class T>
void weigh_for_torch(const T* maps, const T* gradient, T* weights, const Grid& grid) {
  alignas(64) static thread_local T taps[TAPS * MATRIX];
  weigh<T>(maps, gradient, taps, grid);
  arrange_back<T>(taps, weights);
}

}  // namespace

#define REAL float
#define NAMED(name) name##_float32
#include "exports.h"
#undef NAMED
#undef REAL

#define REAL double
#define NAMED(name) name##_float64
#include "exports.h"
