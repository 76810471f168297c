// Measures one prepared statement read with binary results over one connection.
//   reader page FILE.sql T C LIMIT [SET ...]         page to the end: $1 T, $2 C, $3, $4 last id and xid, $5 limit
//   reader poll FILE.sql REPS [-p VALUE]... [SET ...] run it REPS times with these text parameters
// Columns 0 and 1 of a page are id and xid (int8, xid8). Prints: rows, wall seconds, backend CPU seconds, or microseconds per execution.
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
    char last_id[32] = "0", last_xid[32] = "0";
    const char *q[5] = {argv[3], argv[4], last_id, last_xid, argv[5]};
    long rows = 0, limit = atol(argv[5]);
    double w0 = wall(), c0 = cpu();
    for (int got = (int)limit; got == limit;) {
      PGresult *r = must(c, PQexecPrepared(c, "q", 5, q, NULL, NULL, 1));
      got = PQntuples(r);
      if (got) {
        uint64_t be;
        memcpy(&be, PQgetvalue(r, got - 1, 0), 8);
        snprintf(last_id, sizeof last_id, "%lld", (long long)be64toh(be));
        memcpy(&be, PQgetvalue(r, got - 1, 1), 8);
        snprintf(last_xid, sizeof last_xid, "%llu", (unsigned long long)be64toh(be));
        rows += got;
      }
      PQclear(r);
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
