// Measures one prepared statement read with binary results over one connection.
//   reader page FILE.sql T C LIMIT [SET ...]         page every lane 0..255 to its end: $1 lane, $2 T, $3 C, $4 last id, $5 limit
//   reader poll FILE.sql REPS [-p VALUE]... [SET ...] run it REPS times with these text parameters
// Column 0 of a page is the id (int8). Prints: rows, wall seconds, backend CPU seconds, or microseconds per execution.
#include <endian.h>
#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int backend;
static double wall(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static double cpu(void) {  // schedstat: nanoseconds on the CPU, exact
  char p[64]; unsigned long long ns = 0;
  snprintf(p, sizeof p, "/proc/%d/schedstat", backend);
  FILE *f = fopen(p, "r");
  if (f) { if (fscanf(f, "%llu", &ns) != 1) ns = 0; fclose(f); }
  return ns / 1e9;
}
static PGresult *must(PGconn *c, PGresult *r) {
  ExecStatusType s = PQresultStatus(r);
  if (s != PGRES_TUPLES_OK && s != PGRES_COMMAND_OK) { fprintf(stderr, "%s", PQerrorMessage(c)); exit(1); }
  return r;
}
static int by_value(const void *a, const void *b) { double x = *(double *)a, y = *(double *)b; return (x > y) - (x < y); }

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  PGconn *c = PQconnectdb("");
  if (PQstatus(c) != CONNECTION_OK) { fprintf(stderr, "%s", PQerrorMessage(c)); return 1; }
  backend = PQbackendPID(c);
  static char sql[65536];
  FILE *f = fopen(argv[2], "r");
  if (!f) { perror(argv[2]); return 1; }
  sql[fread(sql, 1, sizeof sql - 1, f)] = 0;
  fclose(f);
  int page = !strcmp(argv[1], "page");
  int n = 0, i = page ? 6 : 4;
  const char *p[16];
  for (; i + 1 < argc && !strcmp(argv[i], "-p"); i += 2) p[n++] = argv[i + 1];
  for (; i < argc; i++) PQclear(must(c, PQexec(c, argv[i])));
  PQclear(must(c, PQprepare(c, "q", sql, 0, NULL)));
  if (page) {
    char lane[16], last[32];
    const char *q[5] = {lane, argv[3], argv[4], last, argv[5]};
    long rows = 0, pages = 0, limit = atol(argv[5]);
    double w0 = wall(), c0 = cpu();
    for (int l = 0; l < 256; l++) {
      int64_t id = 0;
      snprintf(lane, sizeof lane, "%d", l);
      for (int got = (int)limit; got == limit;) {
        snprintf(last, sizeof last, "%lld", (long long)id);
        PGresult *r = must(c, PQexecPrepared(c, "q", 5, q, NULL, NULL, 1));
        got = PQntuples(r);
        if (got) { uint64_t be; memcpy(&be, PQgetvalue(r, got - 1, 0), 8); id = (int64_t)be64toh(be); rows += got; pages++; }
        PQclear(r);
      }
    }
    double w = wall() - w0, u = cpu() - c0;
    printf("%ld %.4f %.4f %.0f %.3f\n", rows, w, u, rows / w, u / rows * 1e6);  // rows wall cpu ev/s us/ev
  } else {
    int reps = atoi(argv[3]), rows = 0;
    double *t = calloc(reps, sizeof *t);
    for (int k = 0; k < 20; k++) PQclear(must(c, PQexecPrepared(c, "q", n, p, NULL, NULL, 1)));
    double c0 = cpu();
    for (int k = 0; k < reps; k++) {
      double w0 = wall();
      PGresult *r = must(c, PQexecPrepared(c, "q", n, p, NULL, NULL, 1));
      rows = PQntuples(r);
      PQclear(r);
      t[k] = (wall() - w0) * 1e6;
    }
    double u = (cpu() - c0) / reps * 1e6;
    qsort(t, reps, sizeof *t, by_value);
    printf("%d %.0f %.0f %.0f\n", rows, t[reps / 2], t[reps * 99 / 100], u);  // rows p50us p99us cpu_us
  }
  PQfinish(c);
  return 0;
}
