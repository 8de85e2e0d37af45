/*
 * cmd_rtt.h - muster rtt: how far two nodes are from each other.
 */
#pragma once

int cmd_rtt(int argc, char **argv);
