/*
 * cmd_lookup.h - muster lookup: a service's instances as plain lines.
 */
#pragma once

int cmd_lookup(int argc, char **argv);
