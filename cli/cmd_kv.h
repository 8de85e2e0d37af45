/* cmd_kv.h - entries of the key-value store. */
#pragma once

int cmd_kv(int argc, char **argv);
