#include "harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static jmp_buf failed_check;
static char failure[1024];

/// The value of an environment variable, or what `test` fell back to.
static const char *environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : otherwise;
}

struct broker broker_from_environment(void)
{
    return (struct broker){
        .host = environment("LEVERET_HOST", "127.0.0.1"),
        .port = atoi(environment("LEVERET_PORT", "5672")),
        .user = environment("LEVERET_USER", "guest"),
        .password = environment("LEVERET_PASS", "guest"),
        .vhost = environment("LEVERET_VHOST", "/"),
    };
}

static bool is_wanted(const char *name, int count, char **names)
{
    for (int n = 0; n < count; n++) {
        if (strcmp(name, names[n]) == 0) {
            return true;
        }
    }
    return count == 0;
}

static bool passes(const struct check *check)
{
    if (setjmp(failed_check) != 0) {
        return false;
    }
    check->body();
    return true;
}

int run_checks(const struct check *checks, int only_count, char **only)
{
    int failures = 0;
    for (const struct check *check = checks; check->name != NULL; check++) {
        if (!is_wanted(check->name, only_count, only)) {
            continue;
        }
        if (passes(check)) {
            printf("ok %s\n", check->name);
        } else {
            failures++;
            printf("not ok %s: %s\n", check->name, failure);
        }
        fflush(stdout);
    }
    return failures;
}

const char *unique(const char *suffix)
{
    char *name = NULL;
    if (asprintf(&name, "compat.c.%ld.%ld.%s", (long)time(NULL), (long)getpid(), suffix) < 0) {
        abort();
    }
    return name;
}

double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

_Noreturn void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(failure, sizeof failure, format, arguments);
    va_end(arguments);
    longjmp(failed_check, 1);
}

void expect(bool holds, const char *what)
{
    if (!holds) {
        fail("%s", what);
    }
}

void expect_number(long long expected, long long actual, const char *what)
{
    if (expected != actual) {
        fail("%s: expected %lld, got %lld", what, expected, actual);
    }
}

void expect_text(const char *expected, const char *actual, const char *what)
{
    if (strcmp(expected, actual) != 0) {
        fail("%s: expected \"%s\", got \"%s\"", what, expected, actual);
    }
}
