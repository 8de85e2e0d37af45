/* cmd_version.h - `muster version`: what is this, built of what. */
#pragma once

int cmd_version(int argc, char **argv);
