// Convolution by its definition, for maps of so few pixels that Winograd's tiles would mostly
// hang over their edge:
//
//   out[r, p, o] = sum over pairs, taps (i, j) and channels c of maps[r + i, p + j, c] w[i, j, c,
//   o]
//
// where (r, p) counts from the first pixel and maps have their border. Its gradient by w is
//
//   dw[i, j, c, o] = sum over maps and pixels of maps[r + i, p + j, c] gradient[r, p, o].
#pragma once
#include <algorithm>

#include "maps.h"
#include "vectors.h"

// Maps and the weights they are convolved with. A second derivative has two pairs, whose
// convolutions are added.
template <class T>
struct Pair {
  const T* maps;
  const T* weights;
};

static_assert(CHANNELS % (2 * LANES<float>) == 0, "channels come by two vectors at least");

// As many vectors of a pixel's channels as are wanted, or all of them.
template <class T>
constexpr int side(int wanted) {
  return std::min(wanted, CHANNELS / LANES<T>);
}

// ROWS x COLUMNS pixels by SIDE vectors of channels of the output, in registers throughout.
template <class T, int ROWS, int COLUMNS, int SIDE, int PAIRS>
INLINE void convolve_pixels(const Pair<T> (&pairs)[PAIRS], T* out, int row) {
  constexpr int L = LANES<T>;
  Values<T> sums[ROWS][COLUMNS][SIDE] = {};
  for (const Pair<T>& pair : pairs) {
    const T* weights = pair.weights;
    for (int tap = 0; tap < TAPS; tap++) {
      const T* pixels = pair.maps + tap / 3 * row + tap % 3 * CHANNELS;
      ROLLED
      for (int c = 0; c < CHANNELS; c++, weights += CHANNELS) {
        Values<T> w[SIDE];
        UNROLL
        for (int z = 0; z < SIDE; z++) w[z] = load(weights + z * L);
        UNROLL
        for (int r = 0; r < ROWS; r++) {
          UNROLL
          for (int p = 0; p < COLUMNS; p++) {
            const Values<T> value = filled<T>(pixels[r * row + p * CHANNELS + c]);
            UNROLL
            for (int z = 0; z < SIDE; z++) sums[r][p][z] += value * w[z];
          }
        }
      }
    }
  }
  UNROLL
  for (int r = 0; r < ROWS; r++) {
    UNROLL
    for (int p = 0; p < COLUMNS; p++) {
      UNROLL
      for (int z = 0; z < SIDE; z++) {
        store<T>(out + r * row + p * CHANNELS + z * L, sums[r][p][z]);
      }
    }
  }
}

template <class T, int ROWS, int COLUMNS, int SIDE, int PAIRS>
void convolve_map(const Pair<T> (&pairs)[PAIRS], T* out, const Grid& grid) {
  const int row = grid.row();
  for (int o = 0; o < CHANNELS; o += SIDE * LANES<T>) {
    for (int r = 0; r < grid.height; r += ROWS) {
      for (int p = 0; p < grid.width; p += COLUMNS) {
        const int at = r * row + p * CHANNELS;
        Pair<T> here[PAIRS];
        for (int k = 0; k < PAIRS; k++) here[k] = {pairs[k].maps + at, pairs[k].weights + o};
        convolve_pixels<T, ROWS, COLUMNS, SIDE, PAIRS>(here, out + grid.inside() + at + o, row);
      }
    }
  }
}

template <class T, int PAIRS>
void convolve_directly(const Pair<T> (&pairs)[PAIRS], T* out, const Grid& grid) {
  constexpr int SIDE = MANY_REGISTERS ? 2 : 1;  // 9 SIDE sums, SIDE weights and a value
  for (int i = 0; i < grid.count; i++) {
    Pair<T> one[PAIRS];
    for (int k = 0; k < PAIRS; k++) one[k] = {pairs[k].maps + i * grid.size(), pairs[k].weights};
    T* map = out + i * grid.size();
    clear_border(map, grid);
    if (grid.height == 3 && grid.width == 3) {  // the last block's, of images of 28 x 28
      convolve_map<T, 3, 3, SIDE, PAIRS>(one, map, grid);
    } else {
      convolve_map<T, 1, 1, side<T>(4), PAIRS>(one, map, grid);
    }
  }
}

// Adds to two channels' weights, the three taps of one row, by SIDE vectors of channels.
template <class T, int SIDE>
INLINE void weigh_row(const T* maps, const T* gradient, T* weights, const Grid& grid, int count) {
  constexpr int L = LANES<T>;
  const int row = grid.row();
  Values<T> sums[2][3][SIDE];
  UNROLL
  for (int c = 0; c < 2; c++) {
    UNROLL
    for (int tap = 0; tap < 3; tap++) {
      UNROLL
      for (int z = 0; z < SIDE; z++) {
        sums[c][tap][z] = load(weights + tap * MATRIX + c * CHANNELS + z * L);
      }
    }
  }
  for (int i = 0; i < count; i++) {
    for (int r = 0; r < grid.height; r++) {
      const T* pixel = maps + i * grid.size() + r * row;
      const T* arriving = gradient + i * grid.size() + grid.inside() + r * row;
      ROLLED
      for (int p = 0; p < grid.width; p++, pixel += CHANNELS, arriving += CHANNELS) {
        Values<T> g[SIDE];
        UNROLL
        for (int z = 0; z < SIDE; z++) g[z] = load(arriving + z * L);
        UNROLL
        for (int tap = 0; tap < 3; tap++) {
          UNROLL
          for (int c = 0; c < 2; c++) {
            const Values<T> value = filled<T>(pixel[tap * CHANNELS + c]);
            UNROLL
            for (int z = 0; z < SIDE; z++) sums[c][tap][z] += value * g[z];
          }
        }
      }
    }
  }
  UNROLL
  for (int c = 0; c < 2; c++) {
    UNROLL
    for (int tap = 0; tap < 3; tap++) {
      UNROLL
      for (int z = 0; z < SIDE; z++) {
        store<T>(weights + tap * MATRIX + c * CHANNELS + z * L, sums[c][tap][z]);
      }
    }
  }
}

template <class T>
void weigh_directly(const T* maps, const T* gradient, T* weights, const Grid& grid) {
  // 6 SIDE sums, SIDE of the gradient and a value
  constexpr int SIDE = side<T>(MANY_REGISTERS ? 4 : 2);
  const int together = std::max(1, 200 / grid.pixels());  // maps that stay in the nearest cache
  memset(weights, 0, TAPS * MATRIX * sizeof(T));
  for (int i = 0; i < grid.count; i += together) {
    const int count = std::min(together, grid.count - i);
    for (int r = 0; r < 3; r++) {
      for (int o = 0; o < CHANNELS; o += SIDE * LANES<T>) {
        for (int c = 0; c < CHANNELS; c += 2) {
          const T* shifted = maps + i * grid.size() + r * grid.row() + c;
          T* those = weights + r * 3 * MATRIX + c * CHANNELS + o;
          weigh_row<T, SIDE>(shifted, gradient + i * grid.size() + o, those, grid, count);
        }
      }
    }
  }
}
