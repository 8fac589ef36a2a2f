// Winograd's convolution F(2 x 2, 3 x 3) (Lavin & Gray, CVPR 2016): each tile of 2 x 2 pixels of
// the output costs 16 products of a channel with a channel, where the definition costs 36.
//
//   out = A' [ sum over channels of (G w G') * (B' x B) ] A
//
// where * goes by elements, x is the tile of 4 x 4 pixels that the output's tile sees, and
//
//        | 1  0 -1  0 |        | 1    0   0   |
//   B' = | 0  1  1  0 |    G = | 1/2  1/2 1/2 |    A' = | 1 1  1  0 |
//        | 0 -1  1  0 |        | 1/2 -1/2 1/2 |         | 0 1 -1 -1 |
//        | 0  1  0 -1 |        | 0    0   1   |
//
// For each of the 16 elements the sum over channels is a product of matrices, tiles by channels
// with channels by channels. Here are the transforms and the tiles.
#pragma once
#include "maps.h"
#include "vectors.h"

constexpr int ELEMENTS = 16;

template <class T, int N>
struct Line {
  Values<T> at[N];
};

// B' of a line of a tile.
template <class T>
INLINE Line<T, 4> of_pixels(Values<T> a, Values<T> b, Values<T> c, Values<T> d) {
  return {{a - c, b + c, c - b, b - d}};
}

// G of a line of weights.
template <class T>
INLINE Line<T, 4> of_weights(Values<T> a, Values<T> b, Values<T> c) {
  const Values<T> outer = (a + c) * T(0.5), inner = b * T(0.5);
  return {{a, outer + inner, outer - inner, c}};
}

// G' of a line of sums: G's transpose, for the gradient by the weights.
template <class T>
INLINE Line<T, 3> to_weights(Values<T> a, Values<T> b, Values<T> c, Values<T> d) {
  const Values<T> half = (b + c) * T(0.5);
  return {{a + half, (b - c) * T(0.5), half + d}};
}

// A' of a line of sums.
template <class T>
INLINE Line<T, 2> to_pixels(Values<T> a, Values<T> b, Values<T> c, Values<T> d) {
  return {{a + b + c, b - c - d}};
}

// A of a line of an output's gradient.
template <class T>
INLINE Line<T, 4> of_gradient(Values<T> a, Values<T> b) {
  return {{a, a + b, a - b, -b}};
}

// [3][3][in][out] -> [16][in][out].
template <class T>
void transform_weights(const T* weights, T* elements) {
  for (int i = 0; i < MATRIX; i += LANES<T>) {
    Line<T, 4> columns[3];
    UNROLL
    for (int s = 0; s < 3; s++) {
      const T* w = weights + s * MATRIX + i;
      columns[s] = of_weights<T>(load(w), load(w + 3 * MATRIX), load(w + 6 * MATRIX));
    }
    UNROLL
    for (int r = 0; r < 4; r++) {
      const Line<T, 4> row = of_weights<T>(columns[0].at[r], columns[1].at[r], columns[2].at[r]);
      UNROLL
      for (int s = 0; s < 4; s++) store<T>(elements + (4 * r + s) * MATRIX + i, row.at[s]);
    }
  }
}

// [16][in][out] -> [3][3][in][out], by the transpose.
template <class T>
void transform_back_to_weights(const T* elements, T* weights) {
  for (int i = 0; i < MATRIX; i += LANES<T>) {
    Line<T, 3> columns[4];
    UNROLL
    for (int s = 0; s < 4; s++) {
      const T* e = elements + s * MATRIX + i;
      columns[s] =
          to_weights<T>(load(e), load(e + 4 * MATRIX), load(e + 8 * MATRIX), load(e + 12 * MATRIX));
    }
    UNROLL
    for (int r = 0; r < 3; r++) {
      const Line<T, 3> row =
          to_weights<T>(columns[0].at[r], columns[1].at[r], columns[2].at[r], columns[3].at[r]);
      UNROLL
      for (int s = 0; s < 3; s++) store<T>(weights + (3 * r + s) * MATRIX + i, row.at[s]);
    }
  }
}

// The tiles of all maps, counted through; those at the right and the lower edge of an odd size
// hang over by a pixel.
struct Tiling {
  Grid grid;
  int across;
  int down;

  explicit Tiling(const Grid& grid)
      : grid(grid), across((grid.width + 1) / 2), down((grid.height + 1) / 2) {}
  int count() const { return grid.count * across * down; }
};

struct Tile {
  int map;
  int row;  // of its first pixel
  int column;

  Tile() = default;
  Tile(const Tiling& tiling, int number)
      : map(number / (tiling.across * tiling.down)),
        row(2 * (number / tiling.across % tiling.down)),
        column(2 * (number % tiling.across)) {}

  bool begins_map() const { return row == 0 && column == 0; }

  // To its first pixel, counted without the border.
  size_t offset(const Grid& grid) const {
    return map * grid.size() + row * grid.row() + column * CHANNELS;
  }
};

// B' x B of the 4 x 4 pixels that the tile sees, to [16][TOGETHER][CHANNELS]: `to` is at this tile.
template <class T, int TOGETHER>
INLINE void transform_pixels(const T* maps, const Grid& grid, Tile tile, T* to) {
  alignas(VECTOR_BYTES) static constexpr T BEYOND[CHANNELS] = {};
  constexpr int NEXT = TOGETHER * CHANNELS;
  const T* pixels[16];
  UNROLL
  for (int k = 0; k < 16; k++) {
    const bool there = tile.row + k / 4 < grid.height + 2 && tile.column + k % 4 < grid.width + 2;
    const T* pixel = maps + tile.offset(grid) + k / 4 * grid.row() + k % 4 * CHANNELS;
    pixels[k] = there ? pixel : BEYOND;
  }
  for (int c = 0; c < CHANNELS; c += LANES<T>) {
    Line<T, 4> columns[4];
    UNROLL
    for (int s = 0; s < 4; s++) {
      columns[s] = of_pixels<T>(load(pixels[s] + c), load(pixels[4 + s] + c),
                                load(pixels[8 + s] + c), load(pixels[12 + s] + c));
    }
    UNROLL
    for (int r = 0; r < 4; r++) {
      const Line<T, 4> row =
          of_pixels<T>(columns[0].at[r], columns[1].at[r], columns[2].at[r], columns[3].at[r]);
      UNROLL
      for (int s = 0; s < 4; s++) store<T>(to + (4 * r + s) * NEXT + c, row.at[s]);
    }
  }
}

// A' m A of the sums [16][TOGETHER][CHANNELS] at this tile, into the output.
template <class T, int TOGETHER>
INLINE void transform_to_pixels(const T* from, const Grid& grid, Tile tile, T* out) {
  constexpr int NEXT = TOGETHER * CHANNELS;
  const int row = grid.row();
  const bool right = tile.column + 1 < grid.width, below = tile.row + 1 < grid.height;
  T* first = out + tile.offset(grid) + grid.inside();
  for (int c = 0; c < CHANNELS; c += LANES<T>) {
    Line<T, 2> columns[4];
    UNROLL
    for (int s = 0; s < 4; s++) {
      const T* m = from + s * NEXT + c;
      columns[s] =
          to_pixels<T>(load(m), load(m + 4 * NEXT), load(m + 8 * NEXT), load(m + 12 * NEXT));
    }
    const Line<T, 2> upper =
        to_pixels<T>(columns[0].at[0], columns[1].at[0], columns[2].at[0], columns[3].at[0]);
    const Line<T, 2> lower =
        to_pixels<T>(columns[0].at[1], columns[1].at[1], columns[2].at[1], columns[3].at[1]);
    store<T>(first + c, upper.at[0]);
    if (right) store<T>(first + CHANNELS + c, upper.at[1]);
    if (below) store<T>(first + row + c, lower.at[0]);
    if (right && below) store<T>(first + row + CHANNELS + c, lower.at[1]);
  }
}

// A g A' of the output's gradient at this tile, to [16][TOGETHER][CHANNELS]. What hangs over the
// edge is the border: zeros.
template <class T, int TOGETHER>
INLINE void transform_gradient(const T* gradient, const Grid& grid, Tile tile, T* to) {
  constexpr int NEXT = TOGETHER * CHANNELS;
  const int row = grid.row();
  const T* first = gradient + tile.offset(grid) + grid.inside();
  for (int c = 0; c < CHANNELS; c += LANES<T>) {
    const Line<T, 4> left = of_gradient<T>(load(first + c), load(first + row + c));
    const T* second = first + CHANNELS + c;
    const Line<T, 4> right = of_gradient<T>(load(second), load(second + row));
    UNROLL
    for (int r = 0; r < 4; r++) {
      const Line<T, 4> line = of_gradient<T>(left.at[r], right.at[r]);
      UNROLL
      for (int s = 0; s < 4; s++) store<T>(to + (4 * r + s) * NEXT + c, line.at[s]);
    }
  }
}
