// Maps: how they lie in memory.
//
// (count, height + 2 margin, width + 2 margin, CHANNELS): the channels of a pixel lie side by
// side, and around each map lies a border of zeros, a pixel wide, so that a convolution with
// padding reads without asking where the edge is. The maps of the last block have no border: torch
// goes on with them. Weights are [3][3][in][out], a square matrix a tap.
//
// A library is compiled for one number of channels, by -DWIDTH=32 or -DWIDTH=64.
#pragma once
#include <cstddef>
#include <cstring>

constexpr int CHANNELS = WIDTH;
constexpr int MATRIX = CHANNELS * CHANNELS;
constexpr int TAPS = 9;

struct Grid {
  int count;
  int height;
  int width;
  int margin = 1;

  // Numbers from one row to the next.
  int row() const { return (width + 2 * margin) * CHANNELS; }

  // Numbers from one map to the next.
  size_t size() const { return static_cast<size_t>(height + 2 * margin) * row(); }

  // Numbers from the beginning of a map to its first pixel that is no border.
  int inside() const { return margin * (row() + CHANNELS); }

  // Pixels of a map, without the border.
  int pixels() const { return height * width; }

  // Values of a channel, in all maps.
  double values() const { return static_cast<double>(count) * pixels(); }

  // What 2x2 pooling leaves; of an odd size the last row or column is dropped.
  Grid pooled(int margin) const { return {count, height / 2, width / 2, margin}; }
};

// Zeros all around one map, if it has a border.
template <class T>
void clear_border(T* map, const Grid& grid) {
  if (!grid.margin) return;
  const int row = grid.row();
  memset(map, 0, (row + CHANNELS) * sizeof(T));
  for (int r = 1; r <= grid.height; r++) {  // the right end of a row, and the left of the next
    memset(map + r * row + (grid.width + 1) * CHANNELS, 0, 2 * CHANNELS * sizeof(T));
  }
  memset(map + (grid.height + 1) * row, 0, row * sizeof(T));
}
