// Second derivatives of normalisation.h.
//
// Of the gradients d z, d scale and d shift somebody wants the sum of a d z, p d scale and
// q d shift, over pixels and channels, differentiated by what they were made of. By channel it is
//
//   scale s (sum of a g - A Sa / N - B Sx / N) + p B + q A,   Sa = sum of a,  Sx = sum of a x.
//
// With e = -scale s B / N,  f = p - scale s Sx / N  and  t = sum of a g - A Sa / N - B Sx / N,
//
//   by g:      scale s a + f x + (q - scale s Sa / N)         which y's gradient has at its place
//   by scale:  s t
//   by z:      s (b - sum of b / N - x (sum of b x + scale s t) / N),   b = e a + f g
//
// where sum of b = e Sa + f A and sum of b x = e Sx + f B. The last is normalisation's gradient
// once more, of b, beside what s itself depends on.
#pragma once
#include "normalisation.h"

// What arrives from outside: a, p and q.
template <class T>
struct Weighting {
  const T* maps;
  const T* scale;
  const T* shift;
};

// Of a channel: Sa, Sx and the sum of a g.
struct WeightedSums {
  double plain[CHANNELS] = {};
  double normalised[CHANNELS] = {};
  double gradient[CHANNELS] = {};
};

template <class T>
void sum_weighted(const T* a, const T* gradient, const uint8_t* places, const T* z,
                  const Statistics& of, WeightedSums& sums, const Grid& grid, const Grid& small) {
  constexpr int L = LANES<T>, SIDE = CHANNELS / L;
  alignas(64) T mean[CHANNELS], found[3][CHANNELS];
  for (int c = 0; c < CHANNELS; c++) mean[c] = static_cast<T>(of.mean[c]);
  const Corners corners(grid.row());
  for (int i = 0; i < grid.count; i++) {
    const T* map = z + i * grid.size() + grid.inside();
    const T* weights = a + i * grid.size() + grid.inside();
    const T* arriving = gradient + i * small.size() + small.inside();
    Values<T> plain[SIDE] = {}, moved[SIDE] = {}, along[SIDE] = {};
    for (int r = 0; r < grid.height; r++) {
      for (int p = 0; p < grid.width; p++) {
        const int at = r * grid.row() + p * CHANNELS;
        UNROLL
        for (int v = 0; v < SIDE; v++) {
          const Values<T> weight = load(weights + at + v * L);
          plain[v] += weight;
          moved[v] += weight * (load(map + at + v * L) - load(mean + v * L));
        }
      }
    }
    for (int r = 0; r < small.height; r++) {
      for (int p = 0; p < small.width; p++, places += CHANNELS) {
        const T* first = weights + 2 * r * grid.row() + 2 * p * CHANNELS;
        UNROLL
        for (int v = 0; v < SIDE; v++) {
          const int c = v * L;
          const Integers<T> place = load_bytes<T>(places + c);
          const Values<T> g =
              zero_if_nowhere<T>(load(arriving + r * small.row() + p * CHANNELS + c), place);
          along[v] += g * load_at_place<T>(first + c, corners, place);
        }
      }
    }
    UNROLL
    for (int v = 0; v < SIDE; v++) {
      store<T>(found[0] + v * L, plain[v]);
      store<T>(found[1] + v * L, moved[v]);
      store<T>(found[2] + v * L, along[v]);
    }
    for (int c = 0; c < CHANNELS; c++) {
      sums.plain[c] += found[0][c];
      sums.normalised[c] += found[1][c] * of.inverse[c];
      sums.gradient[c] += found[2][c];
    }
  }
}

// Each result is linear in a, z and g by channel; these are its factors, and a term.
template <class T>
struct Factors {
  alignas(64) T by_a[CHANNELS];
  alignas(64) T by_z[CHANNELS];
  alignas(64) T by_gradient[CHANNELS];
  alignas(64) T term[CHANNELS];
};

template <class T>
INLINE Values<T> combined(const Factors<T>& factors, int c, Values<T> a, Values<T> z) {
  return a * load(factors.by_a + c) + z * load(factors.by_z + c) + load(factors.term + c);
}

template <class T>
void find_factors(const Weighting<T>& weighting, const WeightedSums& weighted, const Sums& sums,
                  const Statistics& of, const T* scale, double values, Factors<T>& of_gradient,
                  Factors<T>& of_z, T* by_scale) {
  for (int c = 0; c < CHANNELS; c++) {
    const double s = of.inverse[c], m = of.mean[c], steep = scale[c] * s;
    const double A = sums.plain[c], B = sums.normalised[c];
    const double Sa = weighted.plain[c], Sx = weighted.normalised[c];
    const double e = -steep * B / values, f = weighting.scale[c] - steep * Sx / values;
    const double t = weighted.gradient[c] - A * Sa / values - B * Sx / values;
    by_scale[c] = s * t;

    of_gradient.by_a[c] = steep;
    of_gradient.by_z[c] = f * s;
    of_gradient.by_gradient[c] = 0;
    of_gradient.term[c] = weighting.shift[c] - steep * Sa / values - f * s * m;

    const double slope = -s * s * (e * Sx + f * B + steep * t) / values;
    of_z.by_a[c] = s * e;
    of_z.by_z[c] = slope;
    of_z.by_gradient[c] = s * f;
    of_z.term[c] = -s * (e * Sa + f * A) / values - slope * m;
  }
}

// By the gradient of y, by z and by the scale.
template <class T>
void normalise_twice(const Weighting<T>& weighting, const T* gradient, const uint8_t* places,
                     const T* z, const Statistics& of, const Sums& sums, const T* scale,
                     T* by_gradient, T* by_z, T* by_scale, const Grid& grid, const Grid& small) {
  WeightedSums weighted;
  sum_weighted<T>(weighting.maps, gradient, places, z, of, weighted, grid, small);
  Factors<T> of_gradient, of_z;
  find_factors<T>(weighting, weighted, sums, of, scale, grid.values(), of_gradient, of_z, by_scale);
  const Corners corners(grid.row());
  for (int i = 0; i < grid.count; i++) {
    const T* map = z + i * grid.size() + grid.inside();
    const T* weights = weighting.maps + i * grid.size() + grid.inside();
    const T* arriving = gradient + i * small.size() + small.inside();
    T* to_z = by_z + i * grid.size();
    T* to_gradient = by_gradient + i * small.size();
    clear_border(to_z, grid);
    clear_border(to_gradient, small);
    to_z += grid.inside();
    to_gradient += small.inside();
    for (int r = 0; r < small.height; r++) {
      for (int p = 0; p < small.width; p++, places += CHANNELS) {
        const int first = 2 * r * grid.row() + 2 * p * CHANNELS;
        const int there = r * small.row() + p * CHANNELS;
        for (int c = 0; c < CHANNELS; c += LANES<T>) {
          const Integers<T> place = load_bytes<T>(places + c);
          Values<T> a[4], values[4];
          load_window<T>(weights + first + c, corners, a);
          load_window<T>(map + first + c, corners, values);
          const Values<T> found =
              combined<T>(of_gradient, c, at_place<T>(a, place), at_place<T>(values, place));
          store<T>(to_gradient + there + c, zero_if_nowhere<T>(found, place));
          const Values<T> peak = load(arriving + there + c) * load(of_z.by_gradient + c);
          UNROLL
          for (int k = 0; k < 4; k++) {
            const Values<T> everywhere = combined<T>(of_z, c, a[k], values[k]);
            store<T>(to_z + first + corners.at[k] + c, everywhere + share_of<T>(k, peak, place));
          }
        }
      }
    }
    each_pixel_beyond(grid, small, [&](int at) {
      for (int c = 0; c < CHANNELS; c += LANES<T>) {
        store<T>(to_z + at + c, combined<T>(of_z, c, load(weights + at + c), load(map + at + c)));
      }
    });
  }
}
