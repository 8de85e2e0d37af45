/* cmd_control.h - commands that are one word to the agent of this host. */
#pragma once

int cmd_deregister(int argc, char **argv);
int cmd_reload(int argc, char **argv);
int cmd_leave(int argc, char **argv);
