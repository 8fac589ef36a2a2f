// The first block, of images with one to three channels. What a 3x3 convolution sees of them are
// patches of 9 numbers a channel, so mean and covariance of its maps follow from those of the
// patches, and normalisation becomes another kernel and a shift:
//
//   y = relu(largest of each window of patch . kernel + shift)
//
// which is piecewise linear in kernel and shift: by the places, its gradient by them is a sum of
// patches, and the derivative of that is the same y again without looking for the largest. What
// kernel and shift depend on (few numbers) is torch's to differentiate; images have no gradient.
//
// Images are (count, channels, height + 2, width + 2) with a border of zeros, and may be read
// up to 64 numbers beyond their end. A kernel is [3][3][in][CHANNELS].
#pragma once
#include "pooling.h"

struct Images {
  int count;
  int channels;
  int height;
  int width;

  int row() const { return width + 2; }
  size_t plane() const { return static_cast<size_t>(height + 2) * row(); }
  Grid pooled() const { return {count, height / 2, width / 2}; }
};

// Vectors of channels at a time: 4 sums each, or 9 in the gradient.
constexpr int FIRST_SIDE = MANY_REGISTERS ? 2 : 1;

// patch . kernel + shift of the four pixels of a window, for one vector of channels each; `pixel`
// is the first that the window's first patch sees, `weights` and `shift` are at the channels.
template <class T>
INLINE void convolve_window(const T* pixel, const Images& images, const T* weights, const T* shift,
                            Values<T> (&window)[FIRST_SIDE][4]) {
  UNROLL
  for (int z = 0; z < FIRST_SIDE; z++) {
    UNROLL
    for (int k = 0; k < 4; k++) window[z][k] = load(shift + z * LANES<T>);
  }
  const int row = images.row();
  for (int channel = 0; channel < images.channels; channel++, pixel += images.plane()) {
    UNROLL
    for (int tap = 0; tap < TAPS; tap++) {
      const T* seen = pixel + tap / 3 * row + tap % 3;
      UNROLL
      for (int z = 0; z < FIRST_SIDE; z++) {
        const Values<T> w =
            load(weights + (tap * images.channels + channel) * CHANNELS + z * LANES<T>);
        window[z][0] += w * seen[0];
        window[z][1] += w * seen[1];
        window[z][2] += w * seen[row];
        window[z][3] += w * seen[row + 1];
      }
    }
  }
}

// Calls each(window, to, place) for every window and vector of channels, with where its value of
// y and its place belong.
template <class T, class Each>
INLINE void each_window(const T* pixels, const T* kernel, const T* shift, T* y,
                        const Images& images, Each each) {
  const Grid small = images.pooled();
  for (int i = 0; i < images.count; i++) {
    T* map = y + i * small.size();
    clear_border(map, small);
    const T* image = pixels + i * images.channels * images.plane();
    const size_t before = static_cast<size_t>(i) * small.pixels() * CHANNELS;
    for (int c = 0; c < CHANNELS; c += FIRST_SIDE * LANES<T>) {
      for (int r = 0; r < small.height; r++) {
        for (int p = 0; p < small.width; p++) {
          Values<T> window[FIRST_SIDE][4];
          convolve_window<T>(image + 2 * r * images.row() + 2 * p, images, kernel + c, shift + c,
                             window);
          UNROLL
          for (int z = 0; z < FIRST_SIDE; z++) {
            const int channel = c + z * LANES<T>;
            T* to = map + small.inside() + r * small.row() + p * CHANNELS + channel;
            each(window[z], to, before + (r * small.width + p) * CHANNELS + channel);
          }
        }
      }
    }
  }
}

// y and its places.
template <class T>
void begin(const T* pixels, const T* kernel, const T* shift, T* y, uint8_t* places,
           const Images& images) {
  each_window<T>(pixels, kernel, shift, y, images,
                 [&](const Values<T>(&window)[4], T* to, size_t at) {
                   const Pooled<T> best = pooled<T>(window);
                   store<T>(to, best.value);
                   store_bytes<T>(places + at, best.place);
                 });
}

// The same for another kernel and shift, at the places that are known.
template <class T>
void begin_at(const T* pixels, const T* kernel, const T* shift, const uint8_t* places, T* y,
              const Images& images) {
  each_window<T>(pixels, kernel, shift, y, images,
                 [&](const Values<T>(&window)[4], T* to, size_t at) {
                   const Integers<T> place = load_bytes<T>(places + at);
                   store<T>(to, zero_if_nowhere<T>(at_place<T>(window, place), place));
                 });
}

// Gradients by kernel and shift, of y's: sums of patches and of ones, at the places.
template <class T>
void begin_back(const T* pixels, const T* gradient, const uint8_t* places, T* by_kernel,
                T* by_shift, const Images& images) {
  const Grid small = images.pooled();
  memset(by_kernel, 0, TAPS * images.channels * CHANNELS * sizeof(T));
  memset(by_shift, 0, CHANNELS * sizeof(T));
  for (int i = 0; i < images.count; i++) {
    for (int c = 0; c < CHANNELS; c += FIRST_SIDE * LANES<T>) {
      for (int channel = 0; channel < images.channels; channel++) {
        const T* image = pixels + (i * images.channels + channel) * images.plane();
        const T* arriving = gradient + i * small.size() + small.inside() + c;
        const uint8_t* place = places + static_cast<size_t>(i) * small.pixels() * CHANNELS + c;
        Values<T> sums[TAPS][FIRST_SIDE] = {}, shifts[FIRST_SIDE] = {};
        for (int r = 0; r < small.height; r++) {
          ROLLED
          for (int p = 0; p < small.width; p++, place += CHANNELS) {
            const T* seen = image + 2 * r * images.row() + 2 * p;
            UNROLL
            for (int z = 0; z < FIRST_SIDE; z++) {
              const Integers<T> there = load_bytes<T>(place + z * LANES<T>);
              const Values<T> g = load(arriving + r * small.row() + p * CHANNELS + z * LANES<T>);
              shifts[z] += zero_if_nowhere<T>(g, there);
              UNROLL
              for (int k = 0; k < 4; k++) {
                const Values<T> share = share_of<T>(k, g, there);
                UNROLL
                for (int tap = 0; tap < TAPS; tap++) {
                  const int at = (tap / 3 + k / 2) * images.row() + tap % 3 + k % 2;
                  sums[tap][z] += share * seen[at];
                }
              }
            }
          }
        }
        UNROLL
        for (int z = 0; z < FIRST_SIDE; z++) {
          const int at = c + z * LANES<T>;
          UNROLL
          for (int tap = 0; tap < TAPS; tap++) {
            add_to<T>(by_kernel + (tap * images.channels + channel) * CHANNELS + at, sums[tap][z]);
          }
          if (channel == 0) add_to<T>(by_shift + at, shifts[z]);
        }
      }
    }
  }
}
