// Where the broker is, expectations, and the runner that prints one line a check. Knows no AMQP.

#ifndef HARNESS_H
#define HARNESS_H

#include <stdbool.h>

/// The broker under test, as the environment names it.
struct broker {
    const char *host;
    int port;
    const char *user;
    const char *password;
    const char *vhost;
};

struct check {
    const char *name;
    void (*body)(void);
};

struct broker broker_from_environment(void);

/// Runs the checks named in `only` (all when it is empty); returns how many failed.
int run_checks(const struct check *checks, int only_count, char **only);

/// A name nobody else uses: runs may share a broker. The text lives until the program ends.
const char *unique(const char *suffix);

/// Seconds on a clock that never goes back.
double now(void);

/// Ends the running check as failed.
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

void expect(bool holds, const char *what);
void expect_number(long long expected, long long actual, const char *what);
void expect_text(const char *expected, const char *actual, const char *what);

#endif
