/* cmd_nodes.h - `muster nodes`: the hosts, or what runs on one. */
#pragma once

int cmd_nodes(int argc, char **argv);
