// The functions of the library for one type of numbers: REAL, and NAMED(name) their names.
// Included by kernels.cpp once for each type, and so without a guard.
//
// Pointers first, what is read before what is written; then sizes: of maps without their border,
// and the margin of what a block returns (1, or 0 where torch goes on).

#pragma GCC visibility push(default)  // and all else is hidden, by -fvisibility=hidden
extern "C" {

void NAMED(convolve)(const REAL* maps, const REAL* weights, REAL* out, int n, int h, int w) {
  convolve_by<REAL>(maps, weights, out, {n, h, w});
}

void NAMED(convolve_turned)(const REAL* maps, const REAL* weights, REAL* out, int n, int h, int w) {
  convolve_by_turned<REAL>(maps, weights, out, {n, h, w});
}

void NAMED(convolve_two)(const REAL* maps, const REAL* weights, const REAL* others,
                         const REAL* their, REAL* out, int n, int h, int w) {
  convolve_by_both<REAL>(maps, weights, others, their, out, {n, h, w});
}

void NAMED(weigh)(const REAL* maps, const REAL* gradient, REAL* weights, int n, int h, int w) {
  weigh_for_torch<REAL>(maps, gradient, weights, {n, h, w});
}

void NAMED(normalise)(const REAL* z, const REAL* scale, const REAL* shift, REAL* y, uint8_t* places,
                      Statistics* statistics, int n, int h, int w, int margin, double epsilon) {
  const Grid grid{n, h, w};
  find_statistics<REAL>(z, grid, epsilon, *statistics);
  normalise<REAL>(z, scale, shift, *statistics, y, places, grid, grid.pooled(margin));
}

void NAMED(normalise_back)(const REAL* gradient, const uint8_t* places, const REAL* z,
                           const Statistics* statistics, const REAL* scale, REAL* by_z, Sums* sums,
                           int n, int h, int w, int margin) {
  const Grid grid{n, h, w};
  sum_gradient<REAL>(gradient, places, z, *statistics, *sums, grid, grid.pooled(margin));
  spread_gradient<REAL>(gradient, places, z, *statistics, *sums, scale, by_z, grid,
                        grid.pooled(margin));
}

void NAMED(normalise_twice)(const REAL* a, const REAL* p, const REAL* q, const REAL* gradient,
                            const uint8_t* places, const REAL* z, const Statistics* statistics,
                            const Sums* sums, const REAL* scale, REAL* by_gradient, REAL* by_z,
                            REAL* by_scale, int n, int h, int w, int margin) {
  const Grid grid{n, h, w};
  normalise_twice<REAL>({a, p, q}, gradient, places, z, *statistics, *sums,
                        scale, by_gradient, by_z, by_scale, grid, grid.pooled(margin));
}

void NAMED(begin)(const REAL* pixels, const REAL* kernel, const REAL* shift, REAL* y,
                  uint8_t* places, int n, int channels, int h, int w) {
  begin<REAL>(pixels, kernel, shift, y, places, {n, channels, h, w});
}

void NAMED(begin_at)(const REAL* pixels, const REAL* kernel, const REAL* shift,
                     const uint8_t* places, REAL* y, int n, int channels, int h, int w) {
  begin_at<REAL>(pixels, kernel, shift, places, y, {n, channels, h, w});
}

void NAMED(begin_back)(const REAL* pixels, const REAL* gradient, const uint8_t* places,
                       REAL* by_kernel, REAL* by_shift, int n, int channels, int h, int w) {
  begin_back<REAL>(pixels, gradient, places, by_kernel, by_shift, {n, channels, h, w});
}

void NAMED(patch_moments)(const REAL* pixels, REAL* mean, REAL* covariance, int n, int channels,
                          int h, int w) {
  find_patch_moments<REAL>(pixels, mean, covariance, {n, channels, h, w});
}
}
#pragma GCC visibility pop
