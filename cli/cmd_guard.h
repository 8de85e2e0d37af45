/* cmd_guard.h - what an operator says to the agent about hosts that are lost:
 * `muster guard` and `muster force-leave`. */
#pragma once

int cmd_guard(int argc, char **argv);
int cmd_force_leave(int argc, char **argv);
