/* cmd_watch.h - something is run whenever what is watched has changed. */
#pragma once

int cmd_watch(int argc, char **argv);
