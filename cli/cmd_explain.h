/*
 * cmd_explain.h - `muster explain`: why an instance is in an answer, or is not.
 */
#pragma once

int cmd_explain(int argc, char **argv);
