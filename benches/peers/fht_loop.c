/* Times FFHT, as FALCONN carries it (2017): fht_loop (f32|f64) LOG2 TIMES RUNS OUT.
 *
 * The transform of i*37 mod 101 - 50 is stored; what is timed is TIMES transforms in place of zeros. The library leaves the
 * size of its chunks to the caller: the best of five is reported, one line of seconds per transform and run. */
#define _POSIX_C_SOURCE 200112L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <math.h>

#include "fht_impl.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Its public functions also normalise, in a pass of their own: left out, since ours does not. */
static void transform(int wide, void *x, int n, int chunk) {
#ifdef __AVX__
  if (wide) FHTDoubleCombinedHelperAVX(x, n, chunk);
  else FHTFloatCombinedHelperAVX(x, n, chunk);
#else
  if (wide) FHTDoubleCombinedHelper(x, n, chunk);
  else FHTFloatCombinedHelper(x, n, chunk);
#endif
}

static double one_run(int wide, void *x, int n, int chunk, int times) {
  double start = now();
  for (int i = 0; i < times; i++) transform(wide, x, n, chunk);
  return (now() - start) / times;
}

int main(int count, char **words) {
  if (count != 6) return 2;
  int wide = !strcmp(words[1], "f64"), n = 1 << atoi(words[2]), times = atoi(words[3]), runs = atoi(words[4]);
  size_t size = wide ? sizeof(double) : sizeof(float);
  void *x = NULL;
  if (posix_memalign(&x, 64, (size_t)n * size)) return 1;
  for (long long i = 0; i < n; i++) {
    double value = (double)(i * 37 % 101) - 50.0;
    if (wide) ((double *)x)[i] = value;
    else ((float *)x)[i] = (float)value;
  }
  static const int chunks[] = {8, 64, 512, 1024, 4096};
  transform(wide, x, n, 8);
  FILE *out = fopen(words[5], "wb");
  if (!out) return 1;
  for (int i = 0; i < n; i++) {
    double value = wide ? ((double *)x)[i] : ((float *)x)[i];
    if (fwrite(&value, sizeof value, 1, out) != 1) return 1;
  }
  if (fclose(out)) return 1;
  memset(x, 0, (size_t)n * size);
  int best = 8;
  double least = 1e300;
  for (size_t c = 0; c < sizeof chunks / sizeof *chunks && chunks[c] <= n; c++) {
    for (int again = 0; again < 2; again++) {
      double seconds = one_run(wide, x, n, chunks[c], times);
      if (seconds < least) least = seconds, best = chunks[c];
    }
  }
  for (int run = 0; run < runs; run++) printf("%.9e\n", one_run(wide, x, n, best, times));
  return 0;
}
