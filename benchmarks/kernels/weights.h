// Weights: from torch's layout, [out][in][3][3], to that of the kernels and back.
//
// Kernels read [3][3][in][out], so that the output's channels lie side by side. A gradient by the
// maps is a convolution with turned weights: by 180 degrees, input and output exchanged.
#pragma once
#include "maps.h"

// Inputs at a time, of all outputs: what is read of them stays in the nearest cache.
constexpr int INPUTS = 8;

template <class T>
void arrange(const T* torch, T* taps) {
  for (int first = 0; first < CHANNELS; first += INPUTS) {
    for (int tap = 0; tap < TAPS; tap++) {
      for (int c = first; c < first + INPUTS; c++) {
        T* to = taps + tap * MATRIX + c * CHANNELS;
        for (int o = 0; o < CHANNELS; o++) to[o] = torch[(o * CHANNELS + c) * TAPS + tap];
      }
    }
  }
}

template <class T>
void arrange_turned(const T* torch, T* taps) {
  for (int o = 0; o < CHANNELS; o++) {
    const T* from = torch + o * CHANNELS * TAPS;
    for (int tap = 0; tap < TAPS; tap++) {
      T* to = taps + (TAPS - 1 - tap) * MATRIX + o * CHANNELS;
      for (int c = 0; c < CHANNELS; c++) to[c] = from[c * TAPS + tap];
    }
  }
}

template <class T>
void arrange_back(const T* taps, T* torch) {
  for (int first = 0; first < CHANNELS; first += INPUTS) {
    for (int o = 0; o < CHANNELS; o++) {
      for (int c = first; c < first + INPUTS; c++) {
        T* to = torch + (o * CHANNELS + c) * TAPS;
        for (int tap = 0; tap < TAPS; tap++) to[tap] = taps[tap * MATRIX + c * CHANNELS + o];
      }
    }
  }
}
