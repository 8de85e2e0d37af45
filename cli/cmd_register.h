/* cmd_register.h - `muster register`: files or flags in, a service out. */
#pragma once

int cmd_register(int argc, char **argv);
