// Pooling: the largest of a window of 2 x 2 pixels, and zero where that is not positive (ReLU).
//
// A byte a window and channel keeps the place: 0 to 3 is that of the largest, in the order of
// reading, the first of equals as in torch; NOWHERE if it was not positive. Derivatives of any
// order go through that place alone. What is not a number is kept, and so seen by who asks: a map
// whose statistics are none has nothing else.
#pragma once
#include "maps.h"
#include "vectors.h"

constexpr int NOWHERE = 4;

// From a window's first pixel to each of its four, in maps with rows of that many numbers.
struct Corners {
  int at[4];
  explicit Corners(int row) : at{0, CHANNELS, row, row + CHANNELS} {}
};

template <class T>
struct Pooled {
  Values<T> value;
  Integers<T> place;
};

template <class T>
INLINE Pooled<T> pooled(const Values<T> (&window)[4]) {
  Values<T> best = window[0];
  Integers<T> place = {};
  UNROLL
  for (int i = 1; i < 4; i++) {
    const Integers<T> above = window[i] > best;
    best = above ? window[i] : best;
    place = above ? Integers<T>{} + i : place;
  }
  const Integers<T> none = best <= zeros<T>();
  return {none ? zeros<T>() : best, none ? Integers<T>{} + NOWHERE : place};
}

// The value at that place of a window; any at all if that is nowhere.
template <class T>
INLINE Values<T> at_place(const Values<T> (&window)[4], Integers<T> place) {
  Values<T> found = window[0];
  UNROLL
  for (int i = 1; i < 4; i++) found = place == i ? window[i] : found;
  return found;
}

template <class T>
INLINE Values<T> zero_if_nowhere(Values<T> values, Integers<T> place) {
  return place == NOWHERE ? zeros<T>() : values;
}

// What a pixel of the window has of the gradient that arrives at its place.
template <class T>
INLINE Values<T> share_of(int pixel, Values<T> gradient, Integers<T> place) {
  return place == pixel ? gradient : zeros<T>();
}

template <class T>
INLINE void load_window(const T* first, const Corners& corners, Values<T> (&window)[4]) {
  UNROLL
  for (int i = 0; i < 4; i++) window[i] = load(first + corners.at[i]);
}

template <class T>
INLINE Values<T> load_at_place(const T* first, const Corners& corners, Integers<T> place) {
  Values<T> window[4];
  load_window<T>(first, corners, window);
  return at_place<T>(window, place);
}

// Calls `each(offset)` for the pixels of an odd size that no window has: the last row and column.
template <class Each>
INLINE void each_pixel_beyond(const Grid& grid, const Grid& small, Each each) {
  for (int r = 0; r < grid.height; r++) {
    const int first = r < 2 * small.height ? 2 * small.width : 0;
    for (int p = first; p < grid.width; p++) each(r * grid.row() + p * CHANNELS);
  }
}
