/* cmd_lock.h - a command that runs while it has a lock. */
#pragma once

int cmd_lock(int argc, char **argv);
