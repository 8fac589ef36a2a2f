// Vectors of numbers, as many as a register of the machine holds: floats or doubles, integers of
// the same width beside them for comparisons, and bytes to keep such integers in memory.
//
// The types are the compiler's own (GCC and Clang): a + b, a > b and m ? a : b go by lanes, and
// a comparison gives a vector of integers, all ones where it holds.
#pragma once
#include <cstdint>
#include <cstring>

#define INLINE inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 64")  // a loop over registers: they have no index
#define ROLLED _Pragma("GCC unroll 1")   // a long loop around them

#ifdef __AVX512F__
constexpr int VECTOR_BYTES = 64;
constexpr int REGISTERS = 32;
#else
constexpr int VECTOR_BYTES = 32;
constexpr int REGISTERS = 16;
#endif
constexpr bool MANY_REGISTERS = REGISTERS == 32;

template <class T>
struct Vectors;

template <>
struct Vectors<float> {
  static constexpr int LANES = VECTOR_BYTES / 4;
  typedef float Values __attribute__((vector_size(VECTOR_BYTES), may_alias));
  typedef int32_t Integers __attribute__((vector_size(VECTOR_BYTES)));
  typedef uint8_t Bytes __attribute__((vector_size(LANES), may_alias));
};

template <>
struct Vectors<double> {
  static constexpr int LANES = VECTOR_BYTES / 8;
  typedef double Values __attribute__((vector_size(VECTOR_BYTES), may_alias));
  typedef int64_t Integers __attribute__((vector_size(VECTOR_BYTES)));
  typedef uint8_t Bytes __attribute__((vector_size(LANES), may_alias));
};

template <class T>
constexpr int LANES = Vectors<T>::LANES;
template <class T>
using Values = typename Vectors<T>::Values;
template <class T>
using Integers = typename Vectors<T>::Integers;
template <class T>
using Bytes = typename Vectors<T>::Bytes;

// From memory that is aligned to vectors: maps, weights, and what belongs to channels.
template <class T>
INLINE Values<T> load(const T* from) {
  return *reinterpret_cast<const Values<T>*>(from);
}

// From anywhere: images.
template <class T>
INLINE Values<T> load_anywhere(const T* from) {
  Values<T> values;
  memcpy(&values, from, VECTOR_BYTES);
  return values;
}

template <class T>
INLINE void store(T* to, Values<T> values) {
  *reinterpret_cast<Values<T>*>(to) = values;
}

template <class T>
INLINE void add_to(T* to, Values<T> values) {
  store<T>(to, load(to) + values);
}

template <class T>
INLINE Values<T> zeros() {
  return Values<T>{};
}

template <class T>
INLINE Values<T> filled(T value) {
  return Values<T>{} + value;
}

template <class T>
INLINE Integers<T> load_bytes(const uint8_t* from) {
  return __builtin_convertvector(*reinterpret_cast<const Bytes<T>*>(from), Integers<T>);
}

template <class T>
INLINE void store_bytes(uint8_t* to, Integers<T> integers) {
  *reinterpret_cast<Bytes<T>*>(to) = __builtin_convertvector(integers, Bytes<T>);
}
