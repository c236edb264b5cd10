/* Runs SparseFHT (Scheibler, Haghighatshoar, Vetterli) on the signals of one case.
 *
 *   wht_sparsefht METHOD VARIABLES SPARSITY GROUPS BINS_LOG2 RUNS SEED PATH [SEED PATH ...]
 *
 * METHOD is one of its three functions: random, deterministic, optimized. PATH is a .npy file of
 * 2^VARIABLES float64 numbers. Standard output has one JSON object, one line for each signal.
 *
 * decode_s: a call of the function, which makes its hash matrices, takes its samples from memory and
 * decodes; runs of one signal follow each other. whole_s: the same with the file mapped anew.
 *
 * SparseFHT is written for the orthonormal transform. Values go in as they are and coefficients are divided
 * afterwards, which also moves its absolute threshold for an empty bin, 1e-5, farther down.
 */

#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE

#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sfht.h"

/* The decoder ends by itself when a pass finds nothing. */
#define PASSES 1000

typedef int transform(double *, size_t, double *, int *, size_t, size_t, int, int, int *, int *);

static void fail(const char *what, const char *name) {
  fprintf(stderr, "wht_sparsefht: %s: %s\n", what, name);
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

/* A mapping of the file, which nothing has touched yet. */
static unsigned char *mapped(const char *path, size_t length) {
  int file = open(path, O_RDONLY);
  struct stat about;
  if (file < 0 || fstat(file, &about) != 0)
    fail("cannot read", path);
  if ((size_t)about.st_size != length)
    fail("wrong length", path);
  void *start = mmap(NULL, length, PROT_READ, MAP_PRIVATE, file, 0);
  if (start == MAP_FAILED)
    fail("cannot map", path);
  close(file);
  return start;
}

int main(int argc, char **argv) {
  if (argc < 9 || argc % 2 == 0)
    fail("wrong use", "see the head of the source");
  transform *run = NULL;
  if (strcmp(argv[1], "random") == 0)
    run = sfht_random;
  else if (strcmp(argv[1], "deterministic") == 0)
    run = sfht_deterministic;
  else if (strcmp(argv[1], "optimized") == 0)
    run = sfht_det_opt;
  else
    fail("no such method", argv[1]);
  size_t size = (size_t)1 << atoi(argv[2]), sparsity = atoi(argv[3]), bins = (size_t)1 << atoi(argv[5]);
  int groups = atoi(argv[4]), runs = atoi(argv[6]);
  double *x = malloc(size * sizeof *x), *y = malloc(sparsity * sizeof *y);
  int *s = malloc(sparsity * sizeof *s);
  if (x == NULL || y == NULL || s == NULL)
    fail("no memory", argv[2]);

  printf("{\"signals\": [");
  for (int a = 7; a < argc; a += 2) {
    size_t head = 128, length = head + size * sizeof *x;
    unsigned char *bytes = mapped(argv[a + 1], length);
    if (memcmp(bytes, "\x93NUMPY\x01", 7) != 0 || 10u + bytes[8] + 256u * bytes[9] != head)
      fail("no .npy file with a head of 128 bytes", argv[a + 1]);
    memcpy(x, bytes + head, size * sizeof *x);
    munmap(bytes, length);
    int found = 0;
    for (int way = 0; way < 2; way++) {
      printf(way == 0 ? "%s\n{\"decode_s\": [" : "%s], \"whole_s\": [", way == 0 && a > 7 ? "," : "");
      for (int r = 0; r <= runs; r++) { /* the first warms up */
        srandom(atoi(argv[a]));
        double start = now();
        unsigned char *file = way == 0 ? NULL : mapped(argv[a + 1], length);
        double *values = way == 0 ? x : (double *)(file + head);
        found = run(values, size, y, s, sparsity, bins, groups, PASSES, NULL, NULL);
        if (file != NULL)
          munmap(file, length);
        double seconds = now() - start;
        if (r > 0)
          printf("%s%.9f", r > 1 ? ", " : "", seconds);
      }
    }
    printf("], \"coefficients\": [");
    for (int k = 0; k < found; k++)
      printf("%s[%d, %.17g]", k > 0 ? ", " : "", s[k], y[k] / sqrt((double)size));
    printf("]}");
  }
  printf("]}\n");
  free(x);
  free(y);
  free(s);
  return 0;
}
