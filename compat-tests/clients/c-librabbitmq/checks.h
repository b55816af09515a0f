// The checks, by subject. Each list ends with a nameless one.

#ifndef CHECKS_H
#define CHECKS_H

#include "harness.h"

extern const struct check connection_checks[];
extern const struct check publishing_checks[];
extern const struct check routing_checks[];
extern const struct check consuming_checks[];

#endif
