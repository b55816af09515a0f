// Runs the checks of librabbitmq, all or those named as arguments.

#include "checks.h"

int main(int argc, char **argv)
{
    const struct check *lists[] = {connection_checks, publishing_checks, routing_checks, consuming_checks};
    int failures = 0;
    for (unsigned n = 0; n < sizeof lists / sizeof lists[0]; n++) {
        failures += run_checks(lists[n], argc - 1, argv + 1);
    }
    return failures == 0 ? 0 : 1;
}
