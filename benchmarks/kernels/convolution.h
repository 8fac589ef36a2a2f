// 3x3 convolution of maps with padding, and its derivatives.
//
// It is linear in maps and in weights, so its derivatives of any order are convolutions again:
// by the maps one of the gradient with turned weights (weights.h), by the weights the sums over
// pixels of `weigh`. Which way is taken, Winograd's or the definition, goes by the number of
// pixels. Weights are [3][3][in][out] here.
#pragma once
#include <algorithm>

#include "direct.h"
#include "winograd.h"

// Up to so many pixels, 3 x 3, Winograd's tiles would hang over the edge too far to pay.
constexpr int FEW_PIXELS = 9;

// Rows of the left matrix whose products with 2 vectors of columns fill the registers.
constexpr int ROWS = MANY_REGISTERS ? 14 : 6;

// Tiles that go through all 16 products before the next: sums and pixels stay in the cache.
constexpr int TILES = 28 / ROWS * ROWS;

// sums[t, o] = sum over pairs and channels c of pixels[t, c] weights[c, o], for ROWS of t.
template <class T, int PAIRS>
INLINE void multiply(const T* const (&pixels)[PAIRS], const T* const (&weights)[PAIRS], T* sums) {
  constexpr int SIDE = 2;
  Values<T> found[ROWS][SIDE] = {};
  for (int k = 0; k < PAIRS; k++) {
    const T* left = pixels[k];
    const T* right = weights[k];
    ROLLED
    for (int c = 0; c < CHANNELS; c++, right += CHANNELS) {
      Values<T> w[SIDE];
      UNROLL
      for (int z = 0; z < SIDE; z++) w[z] = load(right + z * LANES<T>);
      UNROLL
      for (int t = 0; t < ROWS; t++) {
        const Values<T> value = filled<T>(left[t * CHANNELS + c]);
        UNROLL
        for (int z = 0; z < SIDE; z++) found[t][z] += value * w[z];
      }
    }
  }
  UNROLL
  for (int t = 0; t < ROWS; t++) {
    UNROLL
    for (int z = 0; z < SIDE; z++) {
      store<T>(sums + t * CHANNELS + z * LANES<T>, found[t][z]);
    }
  }
}

template <class T, int PAIRS>
void convolve_by_tiles(const Pair<T> (&pairs)[PAIRS], T* out, const Grid& grid) {
  alignas(64) static thread_local T weights[PAIRS][ELEMENTS * MATRIX];
  alignas(64) static thread_local T pixels[PAIRS][ELEMENTS * TILES * CHANNELS];
  alignas(64) static thread_local T sums[ELEMENTS * TILES * CHANNELS];
  for (int k = 0; k < PAIRS; k++) transform_weights<T>(pairs[k].weights, weights[k]);
  const Tiling tiling(grid);
  const int total = tiling.count();
  for (int first = 0; first < total; first += TILES) {
    const int many = std::min(TILES, total - first);
    Tile tiles[TILES];
    for (int t = 0; t < many; t++) {
      tiles[t] = Tile(tiling, first + t);
      if (tiles[t].begins_map()) clear_border(out + tiles[t].map * grid.size(), grid);
      for (int k = 0; k < PAIRS; k++) {
        transform_pixels<T, TILES>(pairs[k].maps, grid, tiles[t], pixels[k] + t * CHANNELS);
      }
    }
    for (int e = 0; e < ELEMENTS; e++) {
      for (int o = 0; o < CHANNELS; o += 2 * LANES<T>) {
        for (int t = 0; t < many; t += ROWS) {
          const int at = (e * TILES + t) * CHANNELS;
          const T* left[PAIRS];
          const T* right[PAIRS];
          for (int k = 0; k < PAIRS; k++) {
            left[k] = pixels[k] + at;
            right[k] = weights[k] + e * MATRIX + o;
          }
          multiply<T, PAIRS>(left, right, sums + at + o);
        }
      }
    }
    for (int t = 0; t < many; t++) {
      transform_to_pixels<T, TILES>(sums + t * CHANNELS, grid, tiles[t], out);
    }
  }
}

// The convolutions of one pair, or the sum of two pairs' convolutions.
template <class T, int PAIRS>
void convolve(const Pair<T> (&pairs)[PAIRS], T* out, const Grid& grid) {
  if (grid.pixels() > FEW_PIXELS) {
    convolve_by_tiles<T, PAIRS>(pairs, out, grid);
  } else {
    convolve_directly<T, PAIRS>(pairs, out, grid);
  }
}

// sums[c, o] += sum over tiles t of pixels[t, c] gradient[t, o], for COUNT of c.
template <class T, int COUNT, int SIDE>
INLINE void accumulate(const T* pixels, const T* gradient, T* sums, int tiles) {
  Values<T> found[COUNT][SIDE];
  UNROLL
  for (int c = 0; c < COUNT; c++) {
    UNROLL
    for (int z = 0; z < SIDE; z++) found[c][z] = load(sums + c * CHANNELS + z * LANES<T>);
  }
  ROLLED
  for (int t = 0; t < tiles; t++, pixels += CHANNELS, gradient += CHANNELS) {
    Values<T> g[SIDE];
    UNROLL
    for (int z = 0; z < SIDE; z++) g[z] = load(gradient + z * LANES<T>);
    UNROLL
    for (int c = 0; c < COUNT; c++) {
      const Values<T> value = filled<T>(pixels[c]);
      UNROLL
      for (int z = 0; z < SIDE; z++) found[c][z] += value * g[z];
    }
  }
  UNROLL
  for (int c = 0; c < COUNT; c++) {
    UNROLL
    for (int z = 0; z < SIDE; z++) store<T>(sums + c * CHANNELS + z * LANES<T>, found[c][z]);
  }
}

// By the transposes of the three transforms: dw = G' [ sum over tiles of (B' x B) * (A g A') ] G.
template <class T>
void weigh_by_tiles(const T* maps, const T* gradient, T* weights, const Grid& grid) {
  constexpr int TOGETHER = 49;  // tiles of a 14 x 14 map
  // SIDE COUNT sums, SIDE of the gradient and a value
  constexpr int COUNT = MANY_REGISTERS ? 4 : 3;
  constexpr int SIDE = side<T>(4);
  alignas(64) static thread_local T sums[ELEMENTS * MATRIX];
  alignas(64) static thread_local T pixels[ELEMENTS * TOGETHER * CHANNELS];
  alignas(64) static thread_local T arriving[ELEMENTS * TOGETHER * CHANNELS];
  memset(sums, 0, sizeof sums);
  const Tiling tiling(grid);
  const int total = tiling.count();
  for (int first = 0; first < total; first += TOGETHER) {
    const int many = std::min(TOGETHER, total - first);
    for (int t = 0; t < many; t++) {
      const Tile tile(tiling, first + t);
      transform_pixels<T, TOGETHER>(maps, grid, tile, pixels + t * CHANNELS);
      transform_gradient<T, TOGETHER>(gradient, grid, tile, arriving + t * CHANNELS);
    }
    for (int e = 0; e < ELEMENTS; e++) {
      const T* left = pixels + e * TOGETHER * CHANNELS;
      const T* right = arriving + e * TOGETHER * CHANNELS;
      for (int o = 0; o < CHANNELS; o += SIDE * LANES<T>) {
        T* to = sums + e * MATRIX + o;
        int c = 0;
        for (; c + COUNT <= CHANNELS; c += COUNT) {
          accumulate<T, COUNT, SIDE>(left + c, right + o, to + c * CHANNELS, many);
        }
        for (; c < CHANNELS; c++) {
          accumulate<T, 1, SIDE>(left + c, right + o, to + c * CHANNELS, many);
        }
      }
    }
  }
  transform_back_to_weights<T>(sums, weights);
}

// The gradient by the weights: [3][3][in][out], of maps and the gradient of their convolution.
template <class T>
void weigh(const T* maps, const T* gradient, T* weights, const Grid& grid) {
  if (grid.pixels() > FEW_PIXELS) {
    weigh_by_tiles<T>(maps, gradient, weights, grid);
  } else {
    weigh_directly<T>(maps, gradient, weights, grid);
  }
}
