// Batch normalisation, 2x2 pooling by maximum and ReLU, in one pass over the maps z.
//
//   m = mean of z        v = mean of (z - m)^2        s = 1 / sqrt(v + epsilon)
//   x = (z - m) s        u = scale x + shift          y = relu(largest u of each window)
//
// all of them by channel, over the N values that it has in the batch. Let g be the gradient of
// u: that of y at its place, and zero at all others. With A = sum of g and B = sum of g x,
//
//   d shift = A        d scale = B        d z = scale s (g - A / N - x B / N).
//
// Derivatives of those are in normalisation_twice.h.
#pragma once
#include <algorithm>
#include <cmath>

#include "pooling.h"

// Of a channel, double whatever the maps are: its mean m, then its s.
struct Statistics {
  double mean[CHANNELS];
  double inverse[CHANNELS];
};

// Sums of a channel's gradient: A, then B.
struct Sums {
  double plain[CHANNELS];
  double normalised[CHANNELS];
};

// Sums over the pixels of one map of z - pivot, and of its square.
template <class T>
void sum_pixels(const T* map, const Grid& grid, const T* pivot, T* sum, T* square) {
  constexpr int L = LANES<T>, SIDE = CHANNELS / L;
  Values<T> sums[SIDE] = {}, squares[SIDE] = {};
  for (int r = 0; r < grid.height; r++) {
    for (int p = 0; p < grid.width; p++) {
      const T* pixel = map + grid.inside() + r * grid.row() + p * CHANNELS;
      UNROLL
      for (int v = 0; v < SIDE; v++) {
        const Values<T> moved = load(pixel + v * L) - load(pivot + v * L);
        sums[v] += moved;
        squares[v] += moved * moved;
      }
    }
  }
  UNROLL
  for (int v = 0; v < SIDE; v++) {
    store<T>(sum + v * L, sums[v]);
    store<T>(square + v * L, squares[v]);
  }
}

// Map by map, each by its deviations from the mean of those before (Chan, Golub & LeVeque 1979):
// a mean far above the deviation costs no digits. The first map is gone through twice.
template <class T>
void find_statistics(const T* z, const Grid& grid, double epsilon, Statistics& found) {
  alignas(64) T pivot[CHANNELS] = {}, sum[CHANNELS], square[CHANNELS];
  const double pixels = grid.pixels();
  double squares[CHANNELS] = {};
  sum_pixels<T>(z, grid, pivot, sum, square);
  for (int c = 0; c < CHANNELS; c++) {
    pivot[c] = static_cast<T>(sum[c] / pixels);
    found.mean[c] = 0;
  }
  for (int i = 0; i < grid.count; i++) {
    sum_pixels<T>(z + i * grid.size(), grid, pivot, sum, square);
    for (int c = 0; c < CHANNELS; c++) {
      const double off = sum[c] / pixels;
      const double apart = pivot[c] + off - found.mean[c];
      squares[c] += square[c] - off * sum[c] + apart * apart * pixels * i / (i + 1);
      found.mean[c] += apart / (i + 1);
      pivot[c] = static_cast<T>(found.mean[c]);
    }
  }
  for (int c = 0; c < CHANNELS; c++) {
    const double variance = std::max(0.0, squares[c] / grid.values());
    found.inverse[c] = 1 / std::sqrt(variance + epsilon);
  }
}

// y and its places, of maps z; `small` is the grid of y.
template <class T>
void normalise(const T* z, const T* scale, const T* shift, const Statistics& of, T* y,
               uint8_t* places, const Grid& grid, const Grid& small) {
  alignas(64) T factor[CHANNELS], term[CHANNELS];
  for (int c = 0; c < CHANNELS; c++) {
    factor[c] = scale[c] * of.inverse[c];
    term[c] = shift[c] - of.mean[c] * of.inverse[c] * scale[c];
  }
  const Corners corners(grid.row());
  for (int i = 0; i < grid.count; i++) {
    const T* map = z + i * grid.size() + grid.inside();
    T* to = y + i * small.size();
    clear_border(to, small);
    to += small.inside();
    for (int r = 0; r < small.height; r++) {
      for (int p = 0; p < small.width; p++, places += CHANNELS) {
        const T* first = map + 2 * r * grid.row() + 2 * p * CHANNELS;
        for (int c = 0; c < CHANNELS; c += LANES<T>) {
          Values<T> window[4];
          load_window<T>(first + c, corners, window);
          UNROLL
          for (int k = 0; k < 4; k++) {
            window[k] = window[k] * load(factor + c) + load(term + c);
          }
          const Pooled<T> best = pooled<T>(window);
          store<T>(to + r * small.row() + p * CHANNELS + c, best.value);
          store_bytes<T>(places + c, best.place);
        }
      }
    }
  }
}

// A and B of the gradient that arrives at y.
template <class T>
void sum_gradient(const T* gradient, const uint8_t* places, const T* z, const Statistics& of,
                  Sums& sums, const Grid& grid, const Grid& small) {
  constexpr int L = LANES<T>, SIDE = CHANNELS / L;
  alignas(64) T mean[CHANNELS], plain[CHANNELS], moved[CHANNELS];
  for (int c = 0; c < CHANNELS; c++) mean[c] = static_cast<T>(of.mean[c]);
  memset(&sums, 0, sizeof sums);
  const Corners corners(grid.row());
  for (int i = 0; i < grid.count; i++) {
    const T* map = z + i * grid.size() + grid.inside();
    const T* arriving = gradient + i * small.size() + small.inside();
    Values<T> a[SIDE] = {}, b[SIDE] = {};
    for (int r = 0; r < small.height; r++) {
      for (int p = 0; p < small.width; p++, places += CHANNELS) {
        const T* first = map + 2 * r * grid.row() + 2 * p * CHANNELS;
        UNROLL
        for (int v = 0; v < SIDE; v++) {
          const int c = v * L;
          const Integers<T> place = load_bytes<T>(places + c);
          const Values<T> g =
              zero_if_nowhere<T>(load(arriving + r * small.row() + p * CHANNELS + c), place);
          a[v] += g;
          b[v] += g * (load_at_place<T>(first + c, corners, place) - load(mean + c));
        }
      }
    }
    UNROLL
    for (int v = 0; v < SIDE; v++) {
      store<T>(plain + v * L, a[v]);
      store<T>(moved + v * L, b[v]);
    }
    for (int c = 0; c < CHANNELS; c++) {
      sums.plain[c] += plain[c];
      sums.normalised[c] += moved[c] * of.inverse[c];
    }
  }
}

// The gradient by z: of each pixel factor z + term, and `peak` of what arrives, at its place.
template <class T>
void spread_gradient(const T* gradient, const uint8_t* places, const T* z, const Statistics& of,
                     const Sums& sums, const T* scale, T* out, const Grid& grid,
                     const Grid& small) {
  alignas(64) T peak[CHANNELS], factor[CHANNELS], term[CHANNELS];
  for (int c = 0; c < CHANNELS; c++) {
    const double steep = scale[c] * of.inverse[c];
    const double slope = -steep * of.inverse[c] * sums.normalised[c] / grid.values();
    peak[c] = steep;
    factor[c] = slope;
    term[c] = -steep * sums.plain[c] / grid.values() - slope * of.mean[c];
  }
  const Corners corners(grid.row());
  for (int i = 0; i < grid.count; i++) {
    const T* map = z + i * grid.size() + grid.inside();
    const T* arriving = gradient + i * small.size() + small.inside();
    T* to = out + i * grid.size();
    clear_border(to, grid);
    to += grid.inside();
    for (int r = 0; r < small.height; r++) {
      for (int p = 0; p < small.width; p++, places += CHANNELS) {
        const int first = 2 * r * grid.row() + 2 * p * CHANNELS;
        for (int c = 0; c < CHANNELS; c += LANES<T>) {
          const Integers<T> place = load_bytes<T>(places + c);
          const Values<T> g = load(arriving + r * small.row() + p * CHANNELS + c) * load(peak + c);
          UNROLL
          for (int k = 0; k < 4; k++) {
            const int at = first + corners.at[k] + c;
            const Values<T> everywhere = load(map + at) * load(factor + c) + load(term + c);
            store<T>(to + at, everywhere + share_of<T>(k, g, place));
          }
        }
      }
    }
    each_pixel_beyond(grid, small, [&](int at) {
      for (int c = at; c < at + CHANNELS; c += LANES<T>) {
        store<T>(to + c, load(map + c) * load(factor + c - at) + load(term + c - at));
      }
    });
  }
}
