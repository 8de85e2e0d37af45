/*
 * cmd_ctl.h - `muster ctl`: the store's command line, with etcdctl's words.
 *
 * A sub-command is two words, "snapshot save"; flags may stand before, between
 * and behind them.
 */
#pragma once

int cmd_ctl(int argc, char **argv);
