// Mean and covariance of the patches that a 3x3 convolution sees of images, over all of their
// pixels: (P,) and (P, P), P = 9 channels, in the order of a kernel [3][3][in].
//
//   mean[a] = mean of x_a        covariance[a, b] = mean of (x_a - mean[a]) (x_b - mean[b])
//
// by sums of x - pivot, where a channel's pivot is the mean of its pixels: images whose mean is
// far above their deviation lose no digits. The border's zeros are part of the patches.
#pragma once
#include "first_block.h"

constexpr int MOST_CHANNELS = 3;
constexpr int MOST_NUMBERS = TAPS * MOST_CHANNELS;

// Where number `a` of a patch is, from the patch's first pixel in the first channel.
INLINE size_t number_at(int a, const Images& images) {
  const int tap = a / images.channels;
  return a % images.channels * images.plane() + tap / 3 * images.row() + tap % 3;
}

template <class T>
void find_pivots(const T* pixels, const Images& images, T* pivots) {
  double sums[MOST_CHANNELS] = {};
  for (int i = 0; i < images.count * images.channels; i++) {
    const T* plane = pixels + i * images.plane() + images.row() + 1;
    for (int r = 0; r < images.height; r++) {
      for (int p = 0; p < images.width; p++)
        sums[i % images.channels] += plane[r * images.row() + p];
    }
  }
  const double values = static_cast<double>(images.count) * images.height * images.width;
  for (int c = 0; c < images.channels; c++) pivots[c] = static_cast<T>(sums[c] / values);
}

// Adds to sums[0] the sum of x_a - pivot over an image's pixels, and to products[b], for b from a
// on, that of its products.
template <class T>
void sum_patches(const T* image, const Images& images, const T* pivots, int a, double* sum,
                 double* products) {
  constexpr int L = LANES<T>;
  const int numbers = TAPS * images.channels;
  Values<T> found[MOST_NUMBERS], alone = {};
  for (int b = a; b < numbers; b++) found[b] = zeros<T>();
  for (int r = 0; r < images.height; r++) {
    for (int p = 0; p < images.width; p += L) {
      const T* patch = image + r * images.row() + p;
      Values<T> x = load_anywhere(patch + number_at(a, images)) - pivots[a % images.channels];
      if (p + L > images.width) {  // lanes beyond the row
        alignas(64) T inside[L];
        for (int l = 0; l < L; l++) inside[l] = p + l < images.width;
        x = x * load(inside);
      }
      alone += x;
      for (int b = a; b < numbers; b++) {
        const T pivot = pivots[b % images.channels];
        found[b] += x * (load_anywhere(patch + number_at(b, images)) - pivot);
      }
    }
  }
  for (int l = 0; l < L; l++) {
    *sum += alone[l];
    for (int b = a; b < numbers; b++) products[b] += found[b][l];
  }
}

template <class T>
void find_patch_moments(const T* pixels, T* mean, T* covariance, const Images& images) {
  const int numbers = TAPS * images.channels;
  T pivots[MOST_CHANNELS];
  double sums[MOST_NUMBERS] = {}, products[MOST_NUMBERS][MOST_NUMBERS] = {};
  find_pivots<T>(pixels, images, pivots);
  for (int i = 0; i < images.count; i++) {
    const T* image = pixels + i * images.channels * images.plane();
    for (int a = 0; a < numbers; a++) {
      sum_patches<T>(image, images, pivots, a, sums + a, products[a]);
    }
  }
  const double values = static_cast<double>(images.count) * images.height * images.width;
  for (int a = 0; a < numbers; a++) {
    mean[a] = pivots[a % images.channels] + sums[a] / values;
    for (int b = a; b < numbers; b++) {
      const double found = products[a][b] / values - sums[a] / values * (sums[b] / values);
      covariance[a * numbers + b] = covariance[b * numbers + a] = found;
    }
  }
}
